//! What each field of a record means, in words for the person whom it is about.

use crate::format::Field;

/// A sentence about a field.
pub const fn meaning(field: Field) -> &'static str {
    match field {
        Field::ClientAddr => "the network address from which the request came, or a name or pseudonym of it",
        Field::ProxiedAddr => "network addresses that intermediate servers reported as those from which the request came",
        Field::ClientPort => "the port number of the connection on your side",
        Field::Ident => "the name that your computer gave of its user",
        Field::User => "the name under which you were signed in, or a pseudonym of it",
        Field::Time => "when the request was received or answered",
        Field::Method => "what kind of request it was",
        Field::Path => "the page or file that was asked for",
        Field::Query => "what was sent along in the address of the page",
        Field::Protocol => "the version of the protocol in which the request was made",
        Field::Referrer => "the page from which the request was made, as your browser reported it",
        Field::UserAgent => "the browser and system that your browser named",
        Field::Cookie => "a text that this site had stored in your browser and that was sent back, or a pseudonym of it",
        Field::Header => "further information that was sent with the request or the answer",
        Field::RequestId => "a number that the server gave this request",
        Field::Session => "a number that the server gave your visit",
        Field::Tls => "how the connection was encrypted",
        Field::Status => "how the server answered: 200 is success, 404 is not found",
        Field::Bytes => "how many bytes were sent or received",
        Field::Duration => "how long it took",
        Field::Host => "the site that was asked for",
        Field::Server => "the machine that answered",
        Field::Message => "what the server noted about a fault",
        Field::Country => "the country or region that was derived from the network address",
        Field::Asn => "the network operator that was derived from the network address",
        Field::Other => "further technical information",
        Field::Request => "the first line of the request, which could not be taken apart",
        Field::Url => "the address that was asked for",
    }
}

/// About a line that no format reads.
pub const WHOLE_LINE: &str = "a whole line of the log, which could not be taken apart";
