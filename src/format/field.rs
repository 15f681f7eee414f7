//! What a slot means: the closed set of fields that a policy decides about.

/// What a place in a line means. The names are those of a policy file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Address or host name of the peer.
    ClientAddr,
    /// Addresses that a proxy reported: `X-Forwarded-For`, `Forwarded`, `X-Real-IP`.
    ProxiedAddr,
    /// Source port of the peer.
    ClientPort,
    /// RFC 1413 identity.
    Ident,
    /// Authenticated user.
    User,
    /// When the request was received or answered.
    Time,
    /// Request method.
    Method,
    /// Path of the requested URL, without query.
    Path,
    /// Query of the requested URL, or one of its parameters where the slot has a name.
    Query,
    /// Protocol and version.
    Protocol,
    /// `Referer` header.
    Referrer,
    /// `User-Agent` header.
    UserAgent,
    /// `Cookie` header, or one cookie where the slot has a name.
    Cookie,
    /// Any other request or response header.
    Header,
    /// Request, trace or connection id.
    RequestId,
    /// Session id.
    Session,
    /// TLS protocol, cipher, fingerprint, client certificate.
    Tls,
    /// Response status.
    Status,
    /// Number of bytes.
    Bytes,
    /// How long it took.
    Duration,
    /// Virtual host, `Host` header, SNI.
    Host,
    /// Names and addresses of the serving side.
    Server,
    /// Free text of an error log.
    Message,
    /// Country, region or city that the server looked up.
    Country,
    /// Autonomous system that the server looked up.
    Asn,
    /// Everything else.
    Other,
    /// A whole request line; cut into method, path, query and protocol.
    Request,
    /// A whole URL; cut into host, path and query.
    Url,
}

/// Every field that a policy can name, in the order of the documentation.
pub const FIELDS: [Field; 26] = [
    Field::ClientAddr,
    Field::ProxiedAddr,
    Field::ClientPort,
    Field::Ident,
    Field::User,
    Field::Time,
    Field::Method,
    Field::Path,
    Field::Query,
    Field::Protocol,
    Field::Referrer,
    Field::UserAgent,
    Field::Cookie,
    Field::Header,
    Field::RequestId,
    Field::Session,
    Field::Tls,
    Field::Status,
    Field::Bytes,
    Field::Duration,
    Field::Host,
    Field::Server,
    Field::Message,
    Field::Country,
    Field::Asn,
    Field::Other,
];

impl Field {
    /// The name in policies, reports and `explain`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientAddr => "client_addr",
            Self::ProxiedAddr => "proxied_addr",
            Self::ClientPort => "client_port",
            Self::Ident => "ident",
            Self::User => "user",
            Self::Time => "time",
            Self::Method => "method",
            Self::Path => "path",
            Self::Query => "query",
            Self::Protocol => "protocol",
            Self::Referrer => "referrer",
            Self::UserAgent => "user_agent",
            Self::Cookie => "cookie",
            Self::Header => "header",
            Self::RequestId => "request_id",
            Self::Session => "session",
            Self::Tls => "tls",
            Self::Status => "status",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::Host => "host",
            Self::Server => "server",
            Self::Message => "message",
            Self::Country => "country",
            Self::Asn => "asn",
            Self::Other => "other",
            Self::Request => "request",
            Self::Url => "url",
        }
    }

    /// The field of that name, composites included.
    pub fn named(name: &str) -> Option<Self> {
        FIELDS.into_iter().chain([Self::Request, Self::Url]).find(|field| field.name() == name)
    }

    /// Whether the splitter cuts it into other fields.
    pub const fn is_composite(self) -> bool {
        matches!(self, Self::Request | Self::Url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_field() {
        for field in FIELDS {
            assert_eq!(Field::named(field.name()), Some(field));
        }
        assert_eq!(Field::named("nothing"), None);
    }
}
