//! What failures of the local engine are to the user.

use super::{Error, Kind};

impl From<fastvm_engine::Error> for Error {
    fn from(error: fastvm_engine::Error) -> Self {
        let made = Self::new(Kind::Engine, error.to_string());
        match error.hint() {
            Some(hint) => made.hint(hint),
            None => made,
        }
    }
}
