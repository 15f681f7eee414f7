//! What every page has in common: one stylesheet, one head, and text that cannot be anything but text.

use maud::{DOCTYPE, Markup, PreEscaped, Render, html as page};

/// For screen and print, light and dark. Pictures are drawn in a few fixed colours, which become the page's own here.
const STYLE: &str = ":root{--ink:#1b1b1b;--dim:#595959;--paper:#fff;--soft:#f4f5f7;--line:#bbb;--kept:#2b6cb0;--ahead:#b9cfe6;--bad:#a61b1b;--odd:#94610f;--good:#1e6b3a}\
@media screen and (prefers-color-scheme:dark){:root{--ink:#e8e8e8;--dim:#b0b0b0;--paper:#16181b;--soft:#22262b;--line:#4a4d52;--kept:#7db2ea;--ahead:#3a5570;--bad:#ff8f8f;--odd:#e3b35c;--good:#86d3a2}}\
*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem;line-height:1.25}h2{margin-top:2.5rem;border-bottom:2px solid var(--ink)}h3{margin-top:1.8rem}p,li{max-width:50rem}small,caption{color:var(--dim)}\
.wide{overflow-x:auto;background:linear-gradient(90deg,var(--paper) 40%,transparent) 0 0/2.5rem 100% no-repeat local,linear-gradient(270deg,var(--paper) 40%,transparent) 100% 0/2.5rem 100% no-repeat local,linear-gradient(90deg,var(--line),transparent) 0 0/.6rem 100% no-repeat,linear-gradient(270deg,var(--line),transparent) 100% 0/.6rem 100% no-repeat}.wide:focus-visible{outline:2px solid var(--kept)}table{border-collapse:collapse;width:100%;margin:1rem 0}caption{text-align:left}\
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--line);overflow-wrap:break-word}thead th{vertical-align:bottom;color:var(--dim);font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}thead th.n{white-space:normal}time span,.entry{display:inline-block}time span,th time{white-space:nowrap}.entry{margin-right:1em}.state{min-width:11rem}.span{min-width:7.2rem}.asked th{white-space:nowrap}.data th{width:45%}\
th small,td small{font-weight:400}td.path,th.path{overflow-wrap:anywhere;min-width:14rem}\
dl{display:grid;grid-template-columns:minmax(8rem,14rem) 1fr;gap:.2rem 1rem}dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere}\
.glance{grid-template-columns:repeat(4,1fr);gap:.6rem;padding:0}.glance div{background:var(--soft);padding:.6rem .8rem;border-left:4px solid var(--kept)}.glance div.bad{border-color:var(--bad)}.glance dt{font-weight:400;font-size:.85rem;color:var(--dim)}.glance dd{font-weight:600;font-size:1.05rem}\
.bad{color:var(--bad);font-weight:600}.glance .bad dd{color:var(--bad)}.good{color:var(--good);font-weight:600}.alarm{border-left:4px solid var(--bad);padding-left:1rem}\
figure{margin:1rem 0}figcaption{color:var(--dim);font-size:.9em;max-width:50rem}svg{display:block;width:100%;min-width:34rem;max-width:60rem;height:auto}svg text{font-family:system-ui,sans-serif}\
[fill=\"#1B1B1B\"]{fill:var(--ink)}[stroke=\"#1B1B1B\"]{stroke:var(--ink)}[stroke=\"#BBBBBB\"]{stroke:var(--line)}[fill=\"#2B6CB0\"]{fill:var(--kept)}[fill=\"#B9CFE6\"]{fill:var(--ahead)}[fill=\"#A61B1B\"]{fill:var(--bad)}[fill=\"#94610F\"]{fill:var(--odd)}[stroke=\"#A61B1B\"]{stroke:var(--bad)}\
svg.key{display:inline-block;min-width:0;width:.8em;height:.8em;margin:0 .35em 0 0}\
@media (max-width:40rem){.glance{grid-template-columns:repeat(2,1fr)}dl:not(.glance){grid-template-columns:1fr}dl:not(.glance) dd{margin-bottom:.5rem}h2{margin-top:2rem}caption{max-width:calc(100vw - 2rem)}.asked thead{display:none}.asked tr{display:grid;grid-template-columns:auto 1fr;border-bottom:1px solid var(--line)}.asked th,.asked td{border:0}.asked td:last-child{grid-column:1/-1}}\
@media print{@page{margin:15mm}body{font-size:9.5pt;margin:0;padding:0;max-width:none}.wide{overflow:visible;background:none}svg{min-width:0}details:not([open]){display:none}h2,h3,caption,figcaption{break-after:avoid}tr,dl,figure,.alarm,.few{break-inside:avoid}th,td{padding:.2rem .4rem}.glance div,svg,.key{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";

/// A whole page: nothing is loaded from elsewhere, no script runs. `mark` says which program made which page.
pub(super) fn whole(title: &str, mark: &str, body: &Markup) -> String {
    page! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                (PreEscaped(mark))
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    }
    .into_string()
}

/// Something wide, which scrolls by itself, also from the keyboard.
pub(super) fn wide(label: &str, inside: &Markup) -> Markup {
    page! { div class="wide" role="region" tabindex="0" aria-label=(label) { (inside) } }
}

/// A text of somebody else's, in a direction of its own; whatever steers a reader's eyes or terminal is shown and does nothing.
pub(super) struct Told<'a>(pub(super) &'a str);

impl Render for Told<'_> {
    fn render(&self) -> Markup {
        page! { (inert(self.0)) }
    }
}

/// Control characters and those that turn the direction of text, as `\u{202E}`; the rest as it is.
pub fn inert(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        let steers = matches!(char, '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}');
        if char.is_control() || steers { shown.push_str(&format!("\\u{{{:04X}}}", u32::from(char))) } else { shown.push(char) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_shown() {
        assert_eq!(inert("a\u{202E}b\u{1b}[31m\nשלום <é>"), "a\\u{202E}b\\u{001B}[31m\\u{000A}שלום <é>");
    }

    #[test]
    fn one_style_and_no_step_outside() {
        for word in ["url(", "@import", "http:", "https:", "expression("] {
            assert!(!STYLE.contains(word), "{word}");
        }
    }
}
