//! What is known of each corpora file: which format it is, what its first column names, how many lines are no records.

use std::path::Path;

use super::oracle::First;
use super::oracle::First::{Client, Host, Neither};

/// One file of the corpora.
pub struct Log {
    pub path: &'static str,
    /// The names that `auto` may give it; none where no format of ours is meant.
    pub formats: &'static [&'static str],
    pub first: First,
    /// The lines, from 1, that are no complete records of the family, and why.
    gaps: &'static str,
    pub why: &'static str,
}

const fn log(path: &'static str, formats: &'static [&'static str], first: First) -> Log {
    Log { path, formats, first, gaps: "", why: "" }
}

const fn gaps(path: &'static str, formats: &'static [&'static str], first: First, gaps: &'static str, why: &'static str) -> Log {
    Log { path, formats, first, gaps, why }
}

const COMBINED: &[&str] = &["combined"];
const COMMON: &[&str] = &["common"];
const PLAIN: &[&str] = &["combined", "common"];
const VHOST: &[&str] = &["combined_vhost", "common_vhost"];
const S3: &[&str] = &["aws-s3"];
const W3C: &[&str] = &["w3c", "iis"];
const NGINX_ERROR: &[&str] = &["nginx-error"];

/// Every line that begins with a blank and a quote.
const ORPHANS: &str = "orphans";

/// Every log file, in the order of the manifest.
pub const LOGS: &[Log] = &[
    log("akamai/greptimedb_akamai_datastream2.ndjson", &["akamai-json"], Neither),
    gaps("appserver/datadog_gunicorn.log", PLAIN, Client, "3-4", "application log, no request"),
    gaps("appserver/datadog_kong.log", PLAIN, Client, "3", "free text behind a combined record"),
    log("appserver/lnav_uwsgi.log", &["uwsgi"], Neither),
    log("aws/crowdsec_aws-alb-logs.log", &["aws-alb"], Neither),
    log("aws/crowdsec_aws-cloudfront-logs.log", &["aws-cloudfront"], Neither),
    gaps("aws/nekrassov_alb.log", &["aws-alb"], Neither, "2", "marked as no match by the source: field missing"),
    gaps("aws/nekrassov_cf.log", &["aws-cloudfront"], Neither, "2", "marked as no match by the source: field missing"),
    gaps("aws/nekrassov_clb.log", &["aws-elb"], Neither, "3", "marked as no match by the source: field missing"),
    gaps("aws/nekrassov_nlb.log", &["aws-nlb"], Neither, "2", "marked as no match by the source: field missing"),
    gaps("aws/nekrassov_s3.log", S3, Neither, "6", "marked as no match by the source: field missing"),
    log("aws/nekrassov_sample_s3_all_match.log", S3, Neither),
    log("aws/nekrassov_sample_s3_all_match.log.gz", S3, Neither),
    gaps("aws/nekrassov_sample_s3_contains_unmatch.log", S3, Neither, "4", "marked as no match by the source: field missing"),
    gaps("azure/otel_azure_agw_records_1_3_5_6.json", &[], Neither, "1-4", "one JSON document over four lines: no line is JSON by itself"),
    log("azure/otel_azure_frontdoor.json", &["azure-frontdoor-json"], Neither),
    gaps("caddy/crowdsec_caddy-logs.log", &["caddy-json"], Neither, "11", "caddy application log, no request"),
    gaps("caddy/lnav_caddy_log.0.ndjson", &["caddy-json"], Neither, "1-15,17-36", "caddy application log, no request"),
    log("cloudflare/lnav_logfile_cloudflare.1.ndjson", &["cloudflare-json"], Neither),
    log("cloudflare/lnav_logfile_cloudflare.json", &["cloudflare-json"], Neither),
    log("combined/crowdsec_apache2-logs.log", COMBINED, Client),
    log("combined/crowdsec_http-dos-switching-ua.log", COMBINED, Client),
    log("combined/crowdsec_http-wordpress-scan.log", COMBINED, Client),
    log("combined/crowdsec_nginx_http-logs.log", COMBINED, Client),
    log("combined/datadog_apache.log", PLAIN, Client),
    gaps("combined/datadog_nginx.log", PLAIN, Client, "3", "free text behind a combined record"),
    gaps("combined/elastic_examples_apache_logs.log.zst", COMBINED, Client, "8899", "record cut off: no closing quote"),
    gaps("combined/erddap_nginx_access_4.log", COMBINED, Client, ORPHANS, "user agents of records that were cut in two"),
    gaps("combined/erddap_nginx_access_5.log", COMBINED, Client, ORPHANS, "user agents of records that were cut in two"),
    gaps("combined/erddap_nginx_access_6.log", COMBINED, Client, ORPHANS, "user agents of records that were cut in two"),
    gaps("combined/erddap_nginx_access_7.log", COMBINED, Client, ORPHANS, "user agents of records that were cut in two"),
    gaps("combined/erddap_nginx_access_8.log", COMBINED, Client, ORPHANS, "user agents of records that were cut in two"),
    gaps("combined/fail2ban_apache-badbots.log", COMBINED, Client, "1,4,7,10", "comment of the test-suite the file comes from"),
    log("combined/lnav_logfile_access_log.0.log", COMBINED, Client),
    log("combined/lnav_logfile_access_log.1.log", COMBINED, Client),
    log("combined/lnav_shop_access_log.log", COMBINED, Client),
    gaps("combined/logparser_BasicOverall_all_directives.log", &[], Neither, "1-6", "custom LogFormat of a test (give it as apache:…)"),
    gaps("combined/logparser_ClientHintsTest.log", &[], Client, "1", "custom LogFormat of a test (give it as apache:…)"),
    log("combined/matomo_common.log", PLAIN, Client),
    log("combined/matomo_common.log.bz2", PLAIN, Client),
    log("combined/matomo_common.log.gz", PLAIN, Client),
    gaps("combined/matomo_logs_to_tests.log", COMBINED, Client, "5", "comment of the test-suite the file comes from"),
    log("combined/matomo_ncsa_extended.log", COMBINED, Client),
    log("combined/matomo_static_ignores.log", VHOST, Host),
    log("combined/nasa_jul95_4000.log", COMMON, Client),
    gaps("combined/nekrassov_apacheclf.log", PLAIN, Client, "6", "marked as no match by the source: field missing"),
    gaps("combined/vrl_parse_apache_log.log", &[], Client, "8,10-12", "made-up line of a parser test; no server writes it"),
    gaps("combined/vrl_parse_common_log.log", &[], Client, "2,5-6", "made-up line of a parser test; no server writes it"),
    log("combined/vrl_parse_nginx_log.log", &[], Client),
    log("envoy/datadog_envoy.log", &["envoy"], Neither),
    log("envoy/datadog_istio.log", &[], Neither),
    log("error-logs/crowdsec_modsecurity-logs-nginx.log", NGINX_ERROR, Neither),
    log("error-logs/crowdsec_nginx_req_limit_exceeded.log", NGINX_ERROR, Neither),
    gaps(
        "error-logs/fail2ban_apache-botsearch.log",
        &["apache-error"],
        Neither,
        "1,4,6,8,10,13,16,18,20,22,24,26,28,30,32,34,36,39,42",
        "comment of the test-suite the file comes from",
    ),
    gaps(
        "error-logs/fail2ban_lighttpd-auth.log",
        &[],
        Neither,
        "1,3,5,7,9-11,13,16-17",
        "comment of the test-suite the file comes from; typing error in the source: opening bracket missing",
    ),
    gaps(
        "error-logs/fail2ban_nginx-http-auth.log",
        NGINX_ERROR,
        Neither,
        "1,3,5,7,9,11,13,16,19,21-22,24-25,27,29,31,33,35,38,40,42,45-46,48",
        "comment of the test-suite the file comes from; short journal prefix without a time",
    ),
    gaps(
        "error-logs/fail2ban_nginx-limit-req.log",
        NGINX_ERROR,
        Neither,
        "2,5,8,11,14,17,20,23,26,28-29",
        "comment of the test-suite the file comes from; short journal prefix without a time",
    ),
    log("fastly/crowdsec_fastly-logs.log", &["fastly-json"], Neither),
    log("gcp/otel_gcp_global_alb.ndjson", &["gcp-lb-json"], Neither),
    log("haproxy/crowdsec_haproxy-logs.log", &["haproxy-http", "haproxy-tcp"], Neither),
    log("haproxy/datadog_haproxy.log", &["haproxy-http", "haproxy-tcp"], Neither),
    gaps("haproxy/lnav_haproxy.log", &["haproxy-http", "haproxy-tcp"], Neither, "1-3", "haproxy notice, no request"),
    gaps("hostile/angle_grinder_long_lines.log", &[], Neither, "1-6", "application JSON, no request"),
    log("hostile/crowdsec_apache2-malformed.log", PLAIN, Client),
    log("hostile/crowdsec_apache_log4j2_cve-2021-44228.log", COMBINED, Client),
    log("hostile/crowdsec_bunkerweb-http-malformed.log", &[], Host),
    log("hostile/crowdsec_f5-big-ip-cve-2020-5902.log", COMBINED, Client),
    log("hostile/crowdsec_http-cve-probing.log", COMBINED, Client),
    log("hostile/crowdsec_http-dos-invalid-http-versions.log", PLAIN, Client),
    log("hostile/crowdsec_netgear_rce.log", COMBINED, Client),
    log("hostile/crowdsec_nginx-bad-user-agent.log", COMBINED, Client),
    log("hostile/crowdsec_nginx-http-malformed.log", COMBINED, Client),
    log("hostile/crowdsec_nginx-http-open-proxy.log", COMBINED, Client),
    log("hostile/crowdsec_nginx-http-path-traversal.log", COMBINED, Client),
    log("hostile/crowdsec_nginx-http-sqli-probing.log", COMBINED, Client),
    log("hostile/crowdsec_nginx-http-w00twoot.log", COMBINED, Client),
    log("hostile/crowdsec_nginx-http-xss-probing.log", COMBINED, Client),
    log("hostile/crowdsec_spring4shell_cve-2022-22965.log", VHOST, Host),
    log("hostile/crowdsec_thinkphp-cve-2018-20062.log", COMBINED, Client),
    log("hostile/crowdsec_vmware-cve-2022-22954.log", COMBINED, Client),
    gaps(
        "hostile/issue_lines_shared.log",
        &[],
        Client,
        "1,4,7",
        "broken on purpose: raw quotes inside quoted fields; broken on purpose: NUL bytes in the time; broken on purpose: stray quote behind the address, last quote missing",
    ),
    log("hostile/lnav_logfile_bad_access_log.0.log", COMBINED, Client),
    gaps("hostile/lnav_logfile_crlf.0.log", &[], Neither, "1-2", "application log, no request"),
    gaps("hostile/lnav_logfile_invalid_utf8.0.log", &[], Neither, "1-6", "application log, no request"),
    gaps("hostile/logparser_EdgeCasesTest.log", &[], Client, "1", "custom LogFormat of a test (give it as apache:…)"),
    log("hostile/matomo_common_encoding_big5.log", VHOST, Host),
    log("hosting-variants/matomo_icecast2.log", &["icecast", "tomcat", "jetty"], Client),
    log("hosting-variants/matomo_ovh.log", &[], Client),
    gaps("ingress-nginx/datadog_nginx-ingress-controller.log", &["ingress-nginx"], Client, "5", "klog line of the controller, no request"),
    log("json-access/matomo_nginx_json.log", &["nginx-json", "json"], Neither),
    log("lighttpd/datadog_lighttpd.log", &[], Client),
    log("litespeed/crowdsec_litespeed-logs.log", &["litespeed", "litespeed-error", "combined"], Client),
    log("ltsv/nekrassov_ltsv_all_match.log", &["ltsv"], Neither),
    log("ltsv/nekrassov_ltsv_all_match.log.gz", &["ltsv"], Neither),
    gaps("ltsv/nekrassov_ltsv_contains_unmatch.log", &["ltsv"], Neither, "4", "marked as no match by the source: field missing"),
    log("proxy-products/crowdsec_cpanel-logs.log", &[], Client),
    log("proxy-products/crowdsec_nginx-proxy-manager-logs.log", &[], Client),
    gaps("squid/datadog_squid.log", &["squid"], Neither, "11-13", "squid cache.log, no request"),
    gaps("tomcat-jetty/datadog_tomcat.log", &[], Neither, "1-5,7-11", "application or GC log, no request; free text behind a combined record"),
    log("tomcat-jetty/logparser_jetty.log", &["jetty", "tomcat", "combined"], Client),
    log("traefik/crowdsec_traefik_clf.log", &["traefik-clf"], Client),
    gaps("traefik/crowdsec_traefik_json.log", &["traefik-json"], Neither, "6", "plugin log, no request"),
    gaps("varnish/datadog_varnish.log", &["combined", "common", "combined-extended", "varnishncsa"], Client, "3", "free text behind a combined record"),
    log("vhost/crowdsec_bunkerweb-logs.log", &[], Host),
    log("vhost/matomo_common_complete.log", VHOST, Host),
    log("vhost/matomo_common_vhost.log", VHOST, Host),
    log("w3c-iis/datadog_iis.log", &[], Neither),
    log("w3c-iis/lnav_w3c.0.log", W3C, Neither),
    log("w3c-iis/lnav_w3c.1.log", W3C, Neither),
    gaps("w3c-iis/lnav_w3c.2.log", W3C, Neither, "5-15,20-22", "IIS FTP log, not a web log: methods such as [2]USER"),
    gaps("w3c-iis/lnav_w3c.5.log", W3C, Neither, "2", "row has 17 columns, its #Fields: names 6"),
    log("w3c-iis/lnav_w3c.6.log", W3C, Neither),
    log("w3c-iis/lnav_w3c_big.log", W3C, Neither),
    gaps("wrappers/crowdsec_cri-logs.log", &["ingress-nginx"], Neither, "2", "a partial line whose end is missing"),
    log("wrappers/crowdsec_docker-logs.log", &["ingress-nginx"], Neither),
    gaps("wrappers/crowdsec_syslog-logs.log", &[], Neither, "1-3", "other program behind the envelope, no request"),
    gaps("wrappers/lnav_docker_compose.log", &[], Neither, "1-22", "other program behind the envelope, no request"),
    gaps("wrappers/lnav_syslog_with_access_log.log", &[], Neither, "1,4-5", "other program behind the envelope, no request"),
    log("zeek-http/lnav_zeek_http.log", W3C, Neither),
];

impl Log {
    /// The folder, which names the family.
    pub fn family(&self) -> &'static str {
        self.path.split('/').next().unwrap_or(self.path)
    }

    /// Whether a line is a complete record; a blank line is none.
    pub fn is_record(&self, number: usize, line: &[u8]) -> bool {
        let gap = if self.gaps == ORPHANS {
            line.starts_with(b" \"")
        } else {
            self.gaps.split(',').filter(|range| !range.is_empty()).any(|range| {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                let bound = |text: &str| text.parse::<usize>().expect("a line number");
                (bound(from)..=bound(to)).contains(&number)
            })
        };
        !gap && !line.trim_ascii().is_empty()
    }

    /// Whether every line is one.
    pub fn is_whole(&self) -> bool {
        self.gaps.is_empty()
    }

    /// The bytes of the file, packed as they are.
    pub fn read(&self, corpora: &Path) -> Vec<u8> {
        std::fs::read(corpora.join(self.path)).unwrap_or_else(|error| panic!("{}: {error}", self.path))
    }

    /// Whether `auto` may have named it so; an envelope in front of the name is welcome.
    pub fn accepts(&self, named: &str) -> bool {
        let mut parts = named.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        self.formats.is_empty() || parts.any(|part| self.formats.contains(&part))
    }
}
