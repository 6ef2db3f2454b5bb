//! What a caller may choose.

/// What happens when some sources can't be read or don't hold still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Incomplete {
    /// The transfer fails and changes nothing.
    #[default]
    Stop,
    /// The rest is copied; the summary names what was left out.
    KeepGoing,
}

/// What becomes of symbolic links in a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// They are copied as links.
    #[default]
    Keep,
    /// What they lead to is copied in their place.
    Follow,
}

impl Links {
    /// As an option of find.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Keep => "",
            Self::Follow => "-L",
        }
    }
}

/// How bytes travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// The best the VM has.
    #[default]
    Auto,
    /// As they are.
    None,
    /// By gzip; a failure if the VM has none.
    Gzip,
    /// By zstd; a failure if the VM has none.
    Zstd,
}
