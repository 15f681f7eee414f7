//! One record of each named format and envelope as a template, and the values that fill it.

/// A format, the directives its file begins with, and one record with `<slots>`.
pub struct Sample {
    /// What `--format` takes.
    pub format: &'static str,
    pub header: &'static str,
    pub record: &'static str,
    /// Whether the client slot may hold IPv6 and host names, or only IPv4.
    pub client: Client,
    /// What the whole record is put into.
    pub envelope: Envelope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Any textual form, host names included.
    Any,
    /// Any textual form of an address.
    Address,
    /// Dotted IPv4, because something follows after a colon or the slot knows nothing else.
    Four,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    Bare,
    Prefix(&'static str),
    /// The record becomes the JSON string between the two parts.
    Json(&'static str, &'static str),
}

const fn text(format: &'static str, client: Client, record: &'static str) -> Sample {
    Sample { format, header: "", record, client, envelope: Envelope::Bare }
}

const fn columns(format: &'static str, header: &'static str, record: &'static str) -> Sample {
    Sample { format, header, record, client: Client::Address, envelope: Envelope::Bare }
}

const fn wrapped(envelope: Envelope) -> Sample {
    Sample { format: "combined", header: "", record: COMBINED, client: Client::Any, envelope }
}

const COMBINED: &str = r#"<ip> - <user> [10/Oct/2023:13:55:36 +0000] "GET <path>?<query> HTTP/1.1" 200 2326 "<ref>" "<ua>""#;

/// Every format of the contract that a record can be written for.
pub const SAMPLES: &[Sample] = &[
    text("combined", Client::Any, COMBINED),
    text("common", Client::Any, r#"<ip> <token> <user> [10/Oct/2023:13:55:36 +0000] "POST <path>?<query> HTTP/1.1" 404 2326"#),
    text("combined_vhost", Client::Any, r#"www.example.org:443 <ip> - <user> [10/Oct/2023:13:55:36 +0000] "GET <path>?<query> HTTP/1.1" 200 2326 "<ref>" "<ua>""#),
    text("common_vhost", Client::Any, r#"www.example.org:80 <ip> - <user> [10/Oct/2023:13:55:36 +0000] "GET <path>?<query> HTTP/1.1" 200 2326"#),
    text(
        r#"nginx:$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for" $request_id "$cookie_session" "$http_cookie" $request_time"#,
        Client::Address,
        r#"<ip> - <user> [10/Oct/2023:13:55:36 +0000] "GET <path>?<query> HTTP/1.1" 200 2326 "<ref>" "<ua>" "<ip>, 192.0.2.0" <token> "<token>" "sid=<token>; theme=<token>" 0.004"#,
    ),
    text(
        r#"apache:%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i" "%{Cookie}i" %{UNIQUE_ID}e %D"#,
        Client::Any,
        r#"<ip> <token> <user> [10/Oct/2023:13:55:36 +0000] "GET <path>?<query> HTTP/1.1" 200 2326 "<ref>" "<ua>" "sid=<token>; theme=<token>" <token> 4711"#,
    ),
    text(
        "ingress-nginx",
        Client::Address,
        r#"<ip> - <user> [10/Oct/2023:13:55:36 +0000] "GET <path>?<query> HTTP/1.1" 200 13 "<ref>" "<ua>" 80 0.001 [default-web-80] [] 10.244.0.9:80 13 0.000 200 <token>"#,
    ),
    text(
        "nginx-error",
        Client::Address,
        r#"2023/10/10 13:55:36 [error] 31#31: *3 user "<user>": password mismatch, client: <ip>, server: www.example.org, request: "GET <path>?<query> HTTP/1.1", host: "www.example.org", referrer: "<ref>""#,
    ),
    text(
        "apache-error",
        Client::Four,
        r#"[Tue Oct 10 13:55:36.123456 2023] [auth_basic:error] [pid 17:tid 1402] [client <ip>:51234] AH01617: user <user>: authentication failure for "/private": Password Mismatch, referer: <ref>"#,
    ),
    text(
        "traefik-clf",
        Client::Address,
        r#"<ip> - <user> [10/Oct/2023:13:55:36 +0000] "GET <path>?<query> HTTP/1.1" 200 13 "<ref>" "<ua>" 17 "web@docker" "http://10.1.2.3:80" 4ms"#,
    ),
    text(
        "traefik-json",
        Client::Four,
        r#"{"ClientAddr":"<ip>:39496","ClientHost":"<ip>","ClientPort":"39496","ClientUsername":"<user>","DownstreamContentSize":357,"DownstreamStatus":200,"Duration":357313,"OriginContentSize":357,"OriginDuration":324669,"OriginStatus":200,"Overhead":32644,"RequestAddr":"www.example.org","RequestContentSize":0,"RequestCount":190,"RequestHost":"www.example.org","RequestMethod":"GET","RequestPath":"<path>?<query>","RequestPort":"-","RequestProtocol":"HTTP/1.1","RequestScheme":"http","RetryAttempts":0,"RouterName":"web@docker","StartLocal":"2023-10-10T13:55:36.5Z","StartUTC":"2023-10-10T13:55:36.5Z","entryPointName":"web","level":"info","msg":"","request_Cookie":"sid=<token>","request_Referer":"<ref>","request_User-Agent":"<ua>","request_X-Forwarded-For":"<ip>","time":"2023-10-10T13:55:36Z"}"#,
    ),
    text(
        "caddy-json",
        Client::Address,
        r#"{"level":"info","ts":1696946136.75,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"<ip>","remote_port":"44790","client_ip":"<ip>","proto":"HTTP/1.1","method":"GET","host":"www.example.org","uri":"<path>?<query>","headers":{"User-Agent":["<ua>"],"Referer":["<ref>"],"Cookie":["sid=<token>"],"X-Forwarded-For":["<ip>"],"Authorization":["<token>"]}},"bytes_read":0,"user_id":"<user>","duration":0.0002,"size":12,"status":200,"resp_headers":{"Server":["Caddy"],"Set-Cookie":["sid=<token>"]}}"#,
    ),
    text(
        "nginx-json",
        Client::Address,
        r#"{"time_local":"10/Oct/2023:13:55:36 +0000","remote_addr":"<ip>","remote_user":"<user>","request":"GET <path>?<query> HTTP/1.1","status":"200","body_bytes_sent":"5","request_time":"0.004","http_referer":"<ref>","http_user_agent":"<ua>","http_x_forwarded_for":"<ip>","http_cookie":"sid=<token>","request_id":"<token>"}"#,
    ),
    text(
        "haproxy-http",
        Client::Four,
        r#"<ip>:33317 [10/Oct/2023:13:55:36.655] http-in static/srv1 10/0/30/69/109 200 2750 sid=<token> sid=<token> ---- 1/1/1/1/0 0/0 {<ua>} {<token>} "GET <path>?<query> HTTP/1.1""#,
    ),
    text("haproxy-tcp", Client::Four, "<ip>:33313 [10/Oct/2023:13:55:36.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0"),
    text("envoy", Client::Address, r#"[2023-10-10T13:55:36.354Z] "GET <path>?<query> HTTP/1.1" 200 - 0 135 11 10 "<ip>" "<ua>" "<token>" "www.example.org" "10.1.2.3:80""#),
    text("squid", Client::Address, "1696946136.576    111 <ip> TCP_MISS/200 491 GET http://www.example.org<path>?<query> <user> HIER_DIRECT/192.0.2.0 text/html"),
    text("varnishncsa", Client::Address, r#"<ip> - <user> [10/Oct/2023:13:55:36 +0000] "GET http://www.example.org<path>?<query> HTTP/1.1" 200 5 "<ref>" "<ua>""#),
    text("litespeed", Client::Address, COMBINED),
    text("tomcat", Client::Any, r#"<ip> - <user> [10/Oct/2023:13:55:36 +0000] "GET <path>?<query> HTTP/1.1" 200 5"#),
    text("jetty", Client::Any, r#"<ip> - <user> [10/Oct/2023:13:55:36 +0000] "GET <path>?<query> HTTP/1.1" 200 5 "<ref>" "<ua>""#),
    columns(
        "iis",
        "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\n",
        "2023-10-10 13:55:36 10.0.0.5 GET <path> <query> 443 <user> <ip> <ua> <ref> 200 0 0 27",
    ),
    columns(
        "w3c",
        "#Version: 1.0\n#Fields: date time c-ip cs-username cs-method cs-uri cs-host sc-status sc-bytes cs(Cookie) cs(Referer) cs(User-Agent)\n",
        "2023-10-10 13:55:36 <ip> <user> GET <path>?<query> www.example.org 200 350 sid=<token> <ref> <ua>",
    ),
    columns(
        "w3c",
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\thttp\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tmethod\thost\turi\treferrer\tuser_agent\tstatus_code\tusername\tpassword\n#types\ttime\tstring\taddr\tport\taddr\tport\tstring\tstring\tstring\tstring\tstring\tcount\tstring\tstring\n",
        "1696946136.452687\t<token>\t<ip>\t52026\t192.0.2.0\t80\tGET\twww.example.org\t<path>?<query>\t<ref>\t<ua>\t200\t<user>\t<token>",
    ),
    text(
        "aws-elb",
        Client::Four,
        r#"2023-10-10T13:55:36.945958Z my-loadbalancer <ip>:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://www.example.org:80<path>?<query> HTTP/1.1" "<ua>" - -"#,
    ),
    text(
        "aws-alb",
        Client::Four,
        r#"https 2023-10-10T13:55:36.186641Z app/my-loadbalancer/50dc6c495c0c9188 <ip>:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.org:443<path>?<query> HTTP/1.1" "<ua>" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=<token>" "www.example.org" "arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-123456789012" 1 2023-10-10T13:55:36.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-""#,
    ),
    text(
        "aws-nlb",
        Client::Four,
        "tls 2.0 2023-10-10T13:55:36 net/my-network-loadbalancer/c6e77e28c25b2234 g3d4b5e8bb8464cd <ip>:51341 192.0.2.0:443 5 2 98 246 - arn:aws:acm:us-east-2:671290407336:certificate/2a108f19-aded-46b0-8493-c63eb1ef4a99 - ECDHE-RSA-AES128-SHA tlsv12 - www.example.org - - - 2023-10-10T13:55:30",
    ),
    text(
        "aws-s3",
        Client::Address,
        r#"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be example-bucket [10/Oct/2023:13:55:36 +0000] <ip> arn:aws:iam::123456789012:user/<user> <token> REST.GET.OBJECT photos/cat.jpg "GET <path>?<query> HTTP/1.1" 200 - 113 - 7 - "<ref>" "<ua>" - <token>= SigV4 ECDHE-RSA-AES128-SHA AuthHeader example-bucket.s3.amazonaws.com TLSv1.2"#,
    ),
    columns(
        "aws-cloudfront",
        "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start sc-range-end\n",
        "2023-10-10\t13:55:36\tLAX1\t392\t<ip>\tGET\td111111abcdef8.cloudfront.net\t<path>\t200\t<ref>\t<ua>\t<query>\tsid=<token>\tHit\t<token>==\twww.example.org\thttps\t23\t0.001\t<ip>\tTLSv1.2\tECDHE-RSA-AES128-GCM-SHA256\tHit\tHTTP/2.0\t-\t-\t11040\t0.001\tHit\ttext/html\t78\t-\t-",
    ),
    text(
        "gcp-lb-json",
        Client::Address,
        r#"{"httpRequest":{"latency":"0.005192s","referer":"<ref>","remoteIp":"<ip>","requestMethod":"GET","requestSize":"29","requestUrl":"https://www.example.org<path>?<query>","responseSize":"780","serverIp":"10.20.0.4","status":200,"userAgent":"<ua>"},"insertId":"<token>","jsonPayload":{"@type":"type.googleapis.com/google.cloud.loadbalancing.type.LoadBalancerLogEntry","remoteIp":"<ip>","statusDetails":"response_sent_by_backend"},"logName":"projects/example/logs/requests","receiveTimestamp":"2023-10-10T13:55:36.36Z","resource":{"labels":{"zone":"global"},"type":"http_load_balancer"},"severity":"INFO","spanId":"<token>","timestamp":"2023-10-10T13:55:36.55Z","trace":"projects/example/traces/<token>"}"#,
    ),
    text(
        "azure-frontdoor-json",
        Client::Address,
        r#"{"time":"2023-10-10T13:55:36.0000000Z","resourceId":"/SUBSCRIPTIONS/EXAMPLE","category":"FrontDoorAccessLog","operationName":"Microsoft.Cdn/Profiles/AccessLog/Write","properties":{"trackingReference":"<token>","httpMethod":"GET","httpVersion":"2.0.0.0","requestUri":"https://www.example.org:443<path>?<query>","sni":"www.example.org","requestBytes":"60","responseBytes":"1624","userAgent":"<ua>","clientIp":"<ip>","clientPort":"55262","socketIp":"<ip>","timeTaken":"0.035","requestProtocol":"HTTPS","securityProtocol":"TLS 1.3","httpStatusCode":"200","pop":"PAR","cacheStatus":"MISS","endpoint":"www.example.org","hostName":"www.example.org","referer":"<ref>","clientCountry":"Norway"}}"#,
    ),
    text(
        "azure-appgw-json",
        Client::Four,
        r#"{"timeStamp":"2023-10-10T13:55:36+00:00","resourceId":"/SUBSCRIPTIONS/EXAMPLE","operationName":"ApplicationGatewayAccess","category":"ApplicationGatewayAccessLog","properties":{"instanceId":"appgw_1","clientIP":"<ip>","clientPort":46886,"httpMethod":"GET","requestUri":"<path>","requestQuery":"<query>","userAgent":"<ua>","httpStatus":200,"httpVersion":"HTTP/1.1","receivedBytes":65,"sentBytes":553,"timeTaken":0.2,"sslEnabled":"on","host":"www.example.org","originalHost":"www.example.org","transactionId":"<token>"}}"#,
    ),
    text(
        "cloudflare-json",
        Client::Address,
        r#"{"ClientIP":"<ip>","ClientRequestHost":"www.example.org","ClientRequestMethod":"GET","ClientRequestURI":"<path>?<query>","ClientRequestUserAgent":"<ua>","ClientRequestReferer":"<ref>","EdgeEndTimestamp":"2023-10-10T13:55:36Z","EdgeResponseBytes":570,"EdgeResponseStatus":200,"EdgeStartTimestamp":"2023-10-10T13:55:36Z","RayID":"<token>","Cookies":{"sid":"<token>"}}"#,
    ),
    text(
        "fastly-json",
        Client::Address,
        r#"{"timestamp":"2023-10-10T13:55:36+0000","client_ip":"<ip>","geo_country":"norway","geo_city":"oslo","host":"www.example.org","url":"<path>?<query>","request_method":"GET","request_protocol":"HTTP/1.1","request_referer":"<ref>","request_user_agent":"<ua>","response_state":"MISS","response_status":200,"response_reason":"OK","response_body_size":564,"fastly_server":"cache-osl6520-OSL","fastly_is_edge":true}"#,
    ),
    text(
        "akamai-json",
        Client::Four,
        r#"{"version":1,"streamId":"12345","cp":"123456","reqId":"<token>","reqTimeSec":"1696946136","bytes":"4995","cliIP":"<ip>","statusCode":"206","proto":"HTTPS","reqHost":"www.example.org","reqMethod":"GET","reqPath":"a/b.html","reqPort":"443","rspContentLen":"5000","rspContentType":"text/html","UA":"<ua>","queryStr":"<query>","cookie":"sid=<token>","referer":"<ref>","xForwardedFor":"<ip>","country":"NO","city":"OSLO"}"#,
    ),
    text(
        "uwsgi",
        Client::Address,
        "[pid: 88185|app: 0|req: 1/1] <ip> (<user>) {38 vars in 696 bytes} [Tue Oct 10 13:55:36 2023] POST <path>?<query> => generated 47 bytes in 129 msecs (HTTP/1.1 200) 9 headers in 378 bytes (1 switches on core 3)",
    ),
    text(
        "ltsv",
        Client::Any,
        "time:10/Oct/2023:13:55:36 +0000\thost:<ip>\tident:<token>\tuser:<user>\treq:GET <path>?<query> HTTP/1.1\tstatus:200\tsize:5\treferer:<ref>\tua:<ua>\tvhost:www.example.org\tcookie:sid=<token>",
    ),
    text("icecast", Client::Address, r#"<ip> - <user> [10/Oct/2023:13:55:36 +0000] "GET <path>?<query> HTTP/1.1" 200 368 "<ref>" "<ua>" 1807"#),
    wrapped(Envelope::Prefix("<190>Oct 10 13:55:36 web1 nginx: ")),
    wrapped(Envelope::Prefix("<190>1 2023-10-10T13:55:36.000Z web1 nginx 17 - - ")),
    wrapped(Envelope::Prefix("2023-10-10T13:55:36.413656027Z stdout F ")),
    wrapped(Envelope::Prefix("web-1  | ")),
    wrapped(Envelope::Json(r#"{"log":""#, r#"\n","stream":"stdout","time":"2023-10-10T13:55:36.000000000Z"}"#)),
    wrapped(Envelope::Json(r#"{"__REALTIME_TIMESTAMP":"1696946136000000","_HOSTNAME":"web1","SYSLOG_IDENTIFIER":"nginx","MESSAGE":""#, r#""}"#)),
];

impl Sample {
    /// What tells it from the others in a report.
    pub fn name(&self) -> String {
        let kind: String = self.format.chars().take(24).collect();
        match self.envelope {
            Envelope::Bare => kind,
            Envelope::Prefix(prefix) => format!("{kind} after `{prefix}`"),
            Envelope::Json(head, _) => format!("{kind} in `{}…`", head.chars().take(12).collect::<String>()),
        }
    }

    /// Appends one record; `fill` gives each slot's value.
    pub fn write(&self, out: &mut Vec<u8>, mut fill: impl FnMut(&str, &mut Vec<u8>)) {
        let start = out.len();
        if let Envelope::Prefix(prefix) = self.envelope {
            out.extend_from_slice(prefix.as_bytes());
        }
        let mut rest = self.record;
        while let Some((before, after)) = rest.split_once('<') {
            out.extend_from_slice(before.as_bytes());
            let (slot, behind) = after.split_once('>').expect("a slot is closed");
            fill(slot, out);
            rest = behind;
        }
        out.extend_from_slice(rest.as_bytes());
        if let Envelope::Json(head, tail) = self.envelope {
            let record = String::from_utf8_lossy(&out[start..]).replace('\\', r"\\").replace('"', r#"\""#);
            out.truncate(start);
            out.extend_from_slice(format!("{head}{record}{tail}").as_bytes());
        }
        out.push(b'\n');
    }
}
