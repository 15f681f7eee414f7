//! Who gets a form, and whether that is a transfer to a third country.

/// Who gets a form of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Its name.
    pub name: String,
    /// In which role.
    pub role: Role,
    /// ISO 3166-1 code of two letters.
    pub country: String,
    /// What allows the transfer (GDPR Art. 45 to 49); always there outside the European Economic Area.
    pub safeguard: Option<String>,
}

/// The role of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Acts on the controller's behalf (GDPR Art. 28).
    Processor,
    /// Decides on its own purposes.
    Controller,
    /// Decides together with the controller (GDPR Art. 26).
    JointController,
    /// A public authority.
    Authority,
}

impl Role {
    /// The role that the configuration calls by this word.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Processor, Self::Controller, Self::JointController, Self::Authority].into_iter().find(|role| role.name() == word)
    }

    /// The word in the configuration and in the register.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Controller => "controller",
            Self::JointController => "joint controller",
            Self::Authority => "authority",
        }
    }
}

/// The European Economic Area: the member states of the Union, Iceland, Liechtenstein and Norway.
const EEA: [&str; 30] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI",
    "SK",
];

/// Whether a country belongs to the European Economic Area.
pub fn is_eea(country: &str) -> bool {
    EEA.binary_search(&country).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_sorted_and_known() {
        assert!(EEA.is_sorted());
        for (country, inside) in [("SE", true), ("NO", true), ("IS", true), ("CH", false), ("GB", false), ("US", false), ("se", false), ("", false)] {
            assert_eq!(is_eea(country), inside, "{country}");
        }
    }
}
