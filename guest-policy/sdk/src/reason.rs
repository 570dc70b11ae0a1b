//! Builders on the generated types.

use crate::types::Reason;
use crate::{Descriptor, Hook, Memo, clipped, network_cost, recovery, retry};

/// The contract's limits. The host refuses an answer that goes beyond them, so that is cut here.
const CODE_MAX: usize = 64;
const NOTE_MAX: usize = 500;
const ATTRIBUTES_MAX: usize = 32;
const ATTRIBUTE_NAME_MAX: usize = 64;
const ATTRIBUTE_VALUE_MAX: usize = 1024;

impl Reason {
    /// `code`: short and stable, for machines, such as `retry_after`; `note`: a sentence for people.
    #[must_use]
    pub fn new(code: &str, note: impl AsRef<str>) -> Self {
        Self {
            code: clipped(code, CODE_MAX).to_owned(),
            note: clipped(note.as_ref(), NOTE_MAX).to_owned(),
            memo: None,
            attributes: Vec::new(),
        }
    }

    /// What to hand to this hook at its next call for this job. Without it, the host keeps the old one.
    #[must_use]
    pub fn memo(mut self, memo: &Memo) -> Self {
        self.memo = Some(memo.to_bytes());
        self
    }

    /// A fact that led to the answer, for machines. At most 32.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: impl AsRef<str>) -> Self {
        if self.attributes.len() < ATTRIBUTES_MAX {
            let name = clipped(name, ATTRIBUTE_NAME_MAX).to_owned();
            self.attributes.push((name, clipped(value.as_ref(), ATTRIBUTE_VALUE_MAX).to_owned()));
        }
        self
    }
}

/// For an answer that leaves the decision to the host, and has nothing to add.
impl Default for Reason {
    fn default() -> Self {
        Self::new("default", "")
    }
}

macro_rules! because {
    ($module:ident) => {
        impl $module::Verdict {
            /// The answer that this verdict and `reason` make.
            #[must_use]
            pub fn because(self, reason: Reason) -> $module::Answer {
                $module::Answer { verdict: self, reason }
            }
        }

        /// As the host would decide.
        impl Default for $module::Answer {
            fn default() -> Self {
                $module::Verdict::Default.because(Reason::default())
            }
        }
    };
}

because!(retry);
because!(network_cost);
because!(recovery);

impl Descriptor {
    /// A policy without hooks, capabilities and settings. `name` and `version` are what an operator sees in lists and decisions.
    #[must_use]
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            hooks: Vec::new(),
            capabilities: Vec::new(),
            settings_schema: String::new(),
        }
    }

    /// Offers a hook. A hook that is not offered is never asked.
    #[must_use]
    pub fn hook(mut self, hook: Hook) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Asks for a capability, such as `see-query`; an operator grants it or not.
    #[must_use]
    pub fn capability(mut self, name: &str) -> Self {
        self.capabilities.push(name.to_owned());
        self
    }

    /// Describes the settings as a JSON Schema.
    #[must_use]
    pub fn settings_schema(mut self, schema: &str) -> Self {
        schema.clone_into(&mut self.settings_schema);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn a_reason_stays_within_the_contract() {
        let mut reason = Reason::new(&"c".repeat(100), "é".repeat(400));
        for _ in 0..40 {
            reason = reason.attribute(&"n".repeat(100), "v".repeat(2_000));
        }
        assert_eq!(reason.code.len(), 64);
        assert_eq!(reason.note.len(), 500);
        assert_eq!(reason.attributes.len(), 32);
        assert_eq!((reason.attributes[0].0.len(), reason.attributes[0].1.len()), (64, 1024));
    }
}
