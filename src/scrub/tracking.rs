//! The named set `@tracking`: parameters by which advertisers and mailings recognise a click or a campaign.

/// What a list of a policy calls the set.
pub(super) const NAME: &str = "@tracking";

/// One name in each line; what follows `#` says whose it is. Sources: the platforms' own documentation.
const LIST: &str = include_str!("tracking.txt");

/// The names, in lower case.
pub(super) fn names() -> impl Iterator<Item = String> {
    LIST.lines().map(|line| line.split('#').next().unwrap_or_default().trim().to_lowercase()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_name_stands_once() {
        let mut seen = BTreeSet::new();
        for name in names() {
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')), "{name}");
            assert!(seen.insert(name.clone()), "{name}");
        }
        assert!(seen.len() > 100);
    }
}
