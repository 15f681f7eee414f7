//! What the variables of nginx and the directives of Apache mean.
//!
//! Both dictionaries are total: what is unknown is [`Field::Other`]. The second value is the name of a header, cookie or
//! parameter; `Some("")` says that there is none (the whole `Cookie` header, the whole query), `None` leaves it to the caller.

use super::Field;

/// Request headers that say more than "a header". Compared without case, and `_` is `-`, as nginx writes them.
const HEADERS: [(&str, Field); 76] = [
    ("referer", Field::Referrer),
    ("referrer", Field::Referrer),
    ("user-agent", Field::UserAgent),
    ("x-original-user-agent", Field::UserAgent),
    ("x-device-user-agent", Field::UserAgent),
    ("cookie", Field::Cookie),
    ("host", Field::Host),
    ("x-forwarded-host", Field::Host),
    ("x-original-host", Field::Host),
    ("x-host", Field::Host),
    ("x-forwarded-for", Field::ProxiedAddr),
    ("x-original-forwarded-for", Field::ProxiedAddr),
    ("x-forwarded", Field::ProxiedAddr),
    ("x-forwarded-client-ip", Field::ProxiedAddr),
    ("forwarded-for", Field::ProxiedAddr),
    ("forwarded-for-ip", Field::ProxiedAddr),
    ("forwarded", Field::ProxiedAddr),
    ("x-real-ip", Field::ProxiedAddr),
    ("x-real-port", Field::ClientPort),
    ("x-forwarded-client-port", Field::ClientPort),
    ("x-client-ip", Field::ProxiedAddr),
    ("client-ip", Field::ProxiedAddr),
    ("true-client-ip", Field::ProxiedAddr),
    ("x-true-client-ip", Field::ProxiedAddr),
    ("x-cluster-client-ip", Field::ProxiedAddr),
    ("cluster-client-ip", Field::ProxiedAddr),
    ("x-remote-ip", Field::ProxiedAddr),
    ("x-remote-addr", Field::ProxiedAddr),
    ("remote-addr", Field::ProxiedAddr),
    ("remote-ip", Field::ProxiedAddr),
    ("x-originating-ip", Field::ProxiedAddr),
    ("x-proxyuser-ip", Field::ProxiedAddr),
    ("x-coming-from", Field::ProxiedAddr),
    ("coming-from", Field::ProxiedAddr),
    ("proxy-client-ip", Field::ProxiedAddr),
    ("wl-proxy-client-ip", Field::ProxiedAddr),
    ("cf-connecting-ip", Field::ProxiedAddr),
    ("cf-connecting-ipv6", Field::ProxiedAddr),
    ("cf-pseudo-ipv4", Field::ProxiedAddr),
    ("fastly-client-ip", Field::ProxiedAddr),
    ("fly-client-ip", Field::ProxiedAddr),
    ("do-connecting-ip", Field::ProxiedAddr),
    ("incap-client-ip", Field::ProxiedAddr),
    ("x-sucuri-clientip", Field::ProxiedAddr),
    ("x-azure-clientip", Field::ProxiedAddr),
    ("x-azure-socketip", Field::ProxiedAddr),
    ("x-appengine-user-ip", Field::ProxiedAddr),
    ("x-appengine-remote-addr", Field::ProxiedAddr),
    ("x-envoy-external-address", Field::ProxiedAddr),
    ("x-nf-client-connection-ip", Field::ProxiedAddr),
    ("x-vercel-forwarded-for", Field::ProxiedAddr),
    ("x-arr-clientip", Field::ProxiedAddr),
    ("ali-cdn-real-ip", Field::ProxiedAddr),
    ("cdn-src-ip", Field::ProxiedAddr),
    ("cloudfront-viewer-address", Field::ProxiedAddr),
    ("x-forwarded-user", Field::User),
    ("x-remote-user", Field::User),
    ("remote-user", Field::User),
    ("x-webauth-user", Field::User),
    ("x-auth-request-user", Field::User),
    ("x-auth-request-email", Field::User),
    ("x-auth-user", Field::User),
    ("x-request-id", Field::RequestId),
    ("request-id", Field::RequestId),
    ("x-correlation-id", Field::RequestId),
    ("x-amzn-trace-id", Field::RequestId),
    ("x-amz-cf-id", Field::RequestId),
    ("x-cloud-trace-context", Field::RequestId),
    ("x-b3-traceid", Field::RequestId),
    ("x-b3-spanid", Field::RequestId),
    ("traceparent", Field::RequestId),
    ("cf-ray", Field::RequestId),
    ("cf-ipcountry", Field::Country),
    ("x-country-code", Field::Country),
    ("cloudfront-viewer-country", Field::Country),
    ("x-appengine-country", Field::Country),
];

/// What a request header means, in whatever spelling the log gives its name.
pub(crate) fn header(name: &str) -> Field {
    HEADERS.iter().find(|(known, _)| is_same(known, name)).map_or(Field::Header, |(_, field)| *field)
}

fn is_same(known: &str, name: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    known.len() == name.len() && known.bytes().eq(name.bytes().map(plain))
}

/// A whole cookie header or query has no name; a header keeps its own.
fn named(field: Field, name: &str) -> (Field, Option<&str>) {
    (field, Some(if matches!(field, Field::Cookie | Field::Query) { "" } else { name }))
}

/// Variables of nginx and its modules with a fixed name.
const VARIABLES: [(&str, Field); 118] = [
    ("remote_addr", Field::ClientAddr),
    ("binary_remote_addr", Field::ClientAddr),
    // The peer before the realip module put the reported address into its place.
    ("realip_remote_addr", Field::ClientAddr),
    ("the_real_ip", Field::ClientAddr),
    ("proxy_protocol_addr", Field::ProxiedAddr),
    ("proxy_add_x_forwarded_for", Field::ProxiedAddr),
    ("remote_port", Field::ClientPort),
    ("realip_remote_port", Field::ClientPort),
    ("proxy_protocol_port", Field::ClientPort),
    ("remote_user", Field::User),
    ("msec", Field::Time),
    ("time_iso8601", Field::Time),
    ("time_local", Field::Time),
    ("request", Field::Request),
    ("request_uri", Field::Url),
    ("request_method", Field::Method),
    ("uri", Field::Path),
    ("document_uri", Field::Path),
    ("request_filename", Field::Path),
    ("fastcgi_script_name", Field::Path),
    ("fastcgi_path_info", Field::Path),
    ("args", Field::Query),
    ("query_string", Field::Query),
    ("server_protocol", Field::Protocol),
    ("protocol", Field::Protocol),
    ("scheme", Field::Protocol),
    ("request_scheme", Field::Protocol),
    ("https", Field::Protocol),
    ("http2", Field::Protocol),
    ("http3", Field::Protocol),
    ("spdy", Field::Protocol),
    ("quic", Field::Protocol),
    ("status", Field::Status),
    ("upstream_status", Field::Status),
    ("bytes_sent", Field::Bytes),
    ("bytes_received", Field::Bytes),
    ("body_bytes_sent", Field::Bytes),
    ("request_length", Field::Bytes),
    ("content_length", Field::Bytes),
    ("upstream_bytes_sent", Field::Bytes),
    ("upstream_bytes_received", Field::Bytes),
    ("upstream_response_length", Field::Bytes),
    ("request_time", Field::Duration),
    ("session_time", Field::Duration),
    ("connection_time", Field::Duration),
    ("tcpinfo_rtt", Field::Duration),
    ("tcpinfo_rttvar", Field::Duration),
    ("upstream_connect_time", Field::Duration),
    ("upstream_first_byte_time", Field::Duration),
    ("upstream_header_time", Field::Duration),
    ("upstream_queue_time", Field::Duration),
    ("upstream_response_time", Field::Duration),
    ("upstream_session_time", Field::Duration),
    ("host", Field::Host),
    ("server_name", Field::Host),
    ("ssl_server_name", Field::Host),
    ("ssl_preread_server_name", Field::Host),
    ("hostname", Field::Server),
    ("server_addr", Field::Server),
    ("server_port", Field::Server),
    ("proxy_protocol_server_addr", Field::Server),
    ("proxy_protocol_server_port", Field::Server),
    ("proxy_host", Field::Server),
    ("proxy_port", Field::Server),
    ("proxy_upstream_name", Field::Server),
    ("proxy_alternative_upstream_name", Field::Server),
    ("namespace", Field::Server),
    ("ingress_name", Field::Server),
    ("service_name", Field::Server),
    ("service_port", Field::Server),
    ("location_path", Field::Server),
    ("upstream_addr", Field::Server),
    ("upstream_last_server_name", Field::Server),
    ("upstream_cache_status", Field::Server),
    ("upstream_cache_key", Field::Other),
    ("document_root", Field::Server),
    ("realpath_root", Field::Server),
    ("nginx_version", Field::Server),
    ("pid", Field::Server),
    ("content_type", Field::Header),
    ("request_id", Field::RequestId),
    ("req_id", Field::RequestId),
    ("connection", Field::RequestId),
    ("otel_trace_id", Field::RequestId),
    ("otel_span_id", Field::RequestId),
    ("otel_parent_id", Field::RequestId),
    ("opentracing_context_traceparent", Field::RequestId),
    ("uid_got", Field::Session),
    ("uid_set", Field::Session),
    ("uid_reset", Field::Session),
    ("session_log_id", Field::Session),
    ("session_log_binary_id", Field::Session),
    ("ssl_session_id", Field::Session),
    ("mqtt_preread_clientid", Field::Session),
    ("mqtt_preread_username", Field::User),
    ("geoip_country_code", Field::Country),
    ("geoip_country_code3", Field::Country),
    ("geoip_country_name", Field::Country),
    ("geoip_city_continent_code", Field::Country),
    ("geoip_city_country_code", Field::Country),
    ("geoip_city_country_code3", Field::Country),
    ("geoip_city_country_name", Field::Country),
    ("geoip_region", Field::Country),
    ("geoip_region_name", Field::Country),
    ("geoip_city", Field::Country),
    ("geoip_org", Field::Asn),
    ("geoip_asn", Field::Asn),
    // Closer to a person than a country is.
    ("geoip_latitude", Field::Other),
    ("geoip_longitude", Field::Other),
    ("geoip_postal_code", Field::Other),
    ("geoip_area_code", Field::Other),
    ("geoip_dma_code", Field::Other),
    // What the client sent or what names a file that holds it.
    ("request_body", Field::Other),
    ("request_body_file", Field::Other),
    ("memcached_key", Field::Other),
    ("secure_link", Field::Other),
    ("is_args", Field::Other),
    ("slice_range", Field::Header),
];

/// What follows one of these is a name.
const PREFIXES: [(&str, Field); 9] = [
    ("sent_http_", Field::Header),
    ("sent_trailer_", Field::Header),
    ("upstream_http_", Field::Header),
    ("upstream_trailer_", Field::Header),
    ("trailer_", Field::Header),
    ("upstream_cookie_", Field::Cookie),
    ("cookie_", Field::Cookie),
    ("arg_", Field::Query),
    ("jwt_claim_", Field::User),
];

/// A variable of nginx, without its `$`. Source: the indexes of variables of nginx, of ingress-nginx and of njs.
pub(crate) fn nginx(variable: &str) -> (Field, Option<&str>) {
    if let Some((_, field)) = VARIABLES.iter().find(|(known, _)| *known == variable) {
        return if matches!(field, Field::Header | Field::Query) { named(*field, variable) } else { (*field, None) };
    }
    if let Some(name) = variable.strip_prefix("http_").filter(|name| !name.is_empty()) {
        return named(header(name), name);
    }
    let prefixed = |(prefix, field): &(&str, Field)| variable.strip_prefix(prefix).filter(|name| !name.is_empty()).map(|name| (*field, Some(name)));
    if let Some(found) = PREFIXES.iter().find_map(prefixed) {
        return found;
    }
    if variable.starts_with("jwt_header_") {
        return (Field::Header, None);
    }
    if variable.starts_with("ssl_") {
        return (Field::Tls, None);
    }
    if let Some(name) = variable.strip_prefix("geoip2_") {
        return (place(name), None);
    }
    (Field::Other, None)
}

/// Variables of the GeoIP2 modules are named by whoever configures them.
fn place(name: &str) -> Field {
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["asn", "organization", "organisation", "isp", "autonomous"]) {
        Field::Asn
    } else if has(&["country", "continent", "region", "city", "subdivision"]) {
        Field::Country
    } else {
        Field::Other
    }
}

/// A directive of Apache's `LogFormat`: the letter without its modifiers (`^FB`, `^ti` and `^to` with their mark) and what
/// stands in braces before it. Sources: `mod_log_config`, `mod_logio`, `mod_ssl`, `mod_unique_id`, `mod_usertrack`.
pub(crate) fn apache(letter: &str, argument: Option<&str>) -> (Field, Option<String>) {
    let name = argument.unwrap_or_default();
    let plain = |field| (field, None);
    match letter {
        "a" | "h" => plain(Field::ClientAddr),
        "A" | "R" | "P" => plain(Field::Server),
        "l" => plain(Field::Ident),
        "u" => plain(Field::User),
        "t" => plain(time(name)),
        "r" => plain(Field::Request),
        "m" => plain(Field::Method),
        "U" | "f" => plain(Field::Path),
        "q" => (Field::Query, Some(String::new())),
        "H" => plain(Field::Protocol),
        "s" => plain(Field::Status),
        "b" | "B" | "I" | "O" | "S" => plain(Field::Bytes),
        "D" | "T" | "^FB" => plain(Field::Duration),
        "v" | "V" => plain(Field::Host),
        "p" if name.eq_ignore_ascii_case("remote") => plain(Field::ClientPort),
        "p" => plain(Field::Server),
        "L" => plain(Field::RequestId),
        "i" => owned(named(header(name), name)),
        "o" | "^ti" | "^to" => (Field::Header, Some(name.to_owned())),
        "C" => (Field::Cookie, Some(name.to_owned())),
        "x" => plain(ssl(name)),
        "e" => owned(environment(name)),
        // mod_usertrack notes the cookie by which it knows the visitor.
        "n" if name.eq_ignore_ascii_case("cookie") => plain(Field::Session),
        _ => plain(Field::Other),
    }
}

fn owned((field, name): (Field, Option<&str>)) -> (Field, Option<String>) {
    (field, name.map(str::to_owned))
}

/// `%{…}t`: a whole time, or a piece of one, which no precision can be taken from.
fn time(format: &str) -> Field {
    let format = format.strip_prefix("begin:").or_else(|| format.strip_prefix("end:")).unwrap_or(format);
    let has = |word: &&str| format.contains(*word);
    match format {
        "" | "sec" | "msec" | "usec" => Field::Time,
        _ if ["%T", "%c", "%s", "%X", "%F", "%D", "%R", "%r", "%+"].iter().any(has) => Field::Time,
        _ if ["%H", "%M"].iter().all(has) || ["%d", "%Y"].iter().all(has) => Field::Time,
        _ => Field::Other,
    }
}

/// `%{…}x`, and the same names in the environment.
fn ssl(name: &str) -> Field {
    match name.to_ascii_uppercase().as_str() {
        "SSL_TLS_SNI" => Field::Host,
        "SSL_SESSION_ID" => Field::Session,
        "SSL_CLIENT_S_DN_CN" | "SSL_CLIENT_S_DN_EMAIL" | "SSL_CLIENT_SAN_EMAIL_0" | "SSL_CLIENT_SAN_OTHER_MSUPN_0" => Field::User,
        "HTTPS" => Field::Protocol,
        _ => Field::Tls,
    }
}

/// `%{…}e`: the variables of CGI and of modules that look an address up.
fn environment(name: &str) -> (Field, Option<&str>) {
    let upper = name.to_ascii_uppercase();
    let field = match upper.as_str() {
        "REMOTE_ADDR" | "REMOTE_HOST" | "REDIRECT_REMOTE_ADDR" | "GEOIP_ADDR" | "MMDB_ADDR" => Field::ClientAddr,
        "REMOTE_PORT" => Field::ClientPort,
        "REMOTE_IDENT" => Field::Ident,
        "REMOTE_USER" | "REDIRECT_REMOTE_USER" | "AUTHENTICATE_UID" | "AUTHENTICATE_MAIL" | "AUTHENTICATE_CN" => Field::User,
        "REQUEST_METHOD" => Field::Method,
        "REQUEST_URI" => Field::Url,
        "SCRIPT_NAME" | "SCRIPT_URL" | "SCRIPT_FILENAME" | "PATH_INFO" | "REDIRECT_URL" => Field::Path,
        "SCRIPT_URI" => Field::Url,
        "QUERY_STRING" | "REDIRECT_QUERY_STRING" => return (Field::Query, Some("")),
        "SERVER_PROTOCOL" => Field::Protocol,
        "SERVER_NAME" => Field::Host,
        "SERVER_ADDR" | "SERVER_PORT" | "SERVER_SOFTWARE" | "BALANCER_WORKER_NAME" | "BALANCER_WORKER_ROUTE" | "BALANCER_ROUTE_CHANGED" => Field::Server,
        "BALANCER_SESSION_ROUTE" | "BALANCER_SESSION_STICKY" => Field::Session,
        "UNIQUE_ID" | "REDIRECT_UNIQUE_ID" => Field::RequestId,
        _ if upper.starts_with("SSL_") || upper == "HTTPS" => ssl(name),
        _ if upper.starts_with("GEOIP_") || upper.starts_with("MM_") || upper.starts_with("MMDB_") => place(name),
        _ => {
            // A header of the request, as CGI names it.
            let sent = name.get(..5).filter(|prefix| prefix.eq_ignore_ascii_case("HTTP_")).and_then(|_| name.get(5..));
            return sent.map_or((Field::Other, None), |name| named(header(name), name));
        }
    };
    (field, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_nginx_have_their_meaning() {
        let table = [
            ("remote_addr", Field::ClientAddr, None),
            ("proxy_protocol_addr", Field::ProxiedAddr, None),
            ("http_x_forwarded_for", Field::ProxiedAddr, Some("x_forwarded_for")),
            ("http_cf_connecting_ip", Field::ProxiedAddr, Some("cf_connecting_ip")),
            ("http_referer", Field::Referrer, Some("referer")),
            ("http_user_agent", Field::UserAgent, Some("user_agent")),
            ("http_user_agent_foo", Field::Header, Some("user_agent_foo")),
            ("http_cookie", Field::Cookie, Some("")),
            ("http_authorization", Field::Header, Some("authorization")),
            ("cookie_session", Field::Cookie, Some("session")),
            ("arg_page", Field::Query, Some("page")),
            ("args", Field::Query, Some("")),
            ("sent_http_x_forwarded_for", Field::Header, Some("x_forwarded_for")),
            ("upstream_http_x_a", Field::Header, Some("x_a")),
            ("upstream_cookie_a", Field::Cookie, Some("a")),
            ("content_type", Field::Header, Some("content_type")),
            ("ssl_client_s_dn", Field::Tls, None),
            ("ssl_session_id", Field::Session, None),
            ("ssl_server_name", Field::Host, None),
            ("geoip2_data_country_code", Field::Country, None),
            ("jwt_claim_sub", Field::User, Some("sub")),
            ("request", Field::Request, None),
            ("request_uri", Field::Url, None),
            ("upstream_response_time", Field::Duration, None),
            ("http_", Field::Other, None),
            ("foobar", Field::Other, None),
        ];
        for (variable, field, name) in table {
            assert_eq!(nginx(variable), (field, name), "{variable}");
        }
    }

    #[test]
    fn directives_of_apache_have_their_meaning() {
        let table = [
            ("h", None, Field::ClientAddr, None),
            ("a", Some("c"), Field::ClientAddr, None),
            ("u", None, Field::User, None),
            ("t", None, Field::Time, None),
            ("t", Some("end:usec"), Field::Time, None),
            ("t", Some("%d/%b/%Y:%T"), Field::Time, None),
            ("t", Some("begin:msec_frac"), Field::Other, None),
            ("t", Some("%z"), Field::Other, None),
            ("i", Some("Referer"), Field::Referrer, Some("Referer")),
            ("i", Some("user-agent"), Field::UserAgent, Some("user-agent")),
            ("i", Some("X-Forwarded-For"), Field::ProxiedAddr, Some("X-Forwarded-For")),
            ("i", Some("Cookie"), Field::Cookie, Some("")),
            ("i", Some("Accept"), Field::Header, Some("Accept")),
            ("o", Some("Set-Cookie"), Field::Header, Some("Set-Cookie")),
            ("C", Some("session"), Field::Cookie, Some("session")),
            ("^ti", Some("Foo"), Field::Header, Some("Foo")),
            ("^FB", None, Field::Duration, None),
            ("p", None, Field::Server, None),
            ("p", Some("remote"), Field::ClientPort, None),
            ("q", None, Field::Query, Some("")),
            ("x", Some("SSL_PROTOCOL"), Field::Tls, None),
            ("x", Some("SSL_CLIENT_S_DN_CN"), Field::User, None),
            ("e", Some("UNIQUE_ID"), Field::RequestId, None),
            ("e", Some("HTTP_X_REAL_IP"), Field::ProxiedAddr, Some("X_REAL_IP")),
            ("e", Some("GEOIP_COUNTRY_CODE"), Field::Country, None),
            ("e", Some("é"), Field::Other, None),
            ("n", Some("cookie"), Field::Session, None),
            ("k", None, Field::Other, None),
            ("?", None, Field::Other, None),
        ];
        for (letter, argument, field, name) in table {
            assert_eq!(apache(letter, argument), (field, name.map(str::to_owned)), "%{argument:?}{letter}");
        }
    }

    #[test]
    fn a_header_is_known_in_every_spelling() {
        for name in ["X-Forwarded-For", "x_forwarded_for", "X_FORWARDED_FOR"] {
            assert_eq!(header(name), Field::ProxiedAddr);
        }
        assert_eq!(header("X-Forwarded-Proto"), Field::Header);
        assert_eq!(header(""), Field::Header);
    }
}
