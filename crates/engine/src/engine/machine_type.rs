//! Sizes by name.

use super::Error;

/// The size that a machine type like `c1m2` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MachineType {
    /// 1 to 64 processors.
    pub(super) cpu: i32,
    /// 1 to 512 GiB.
    pub(super) memory_mib: i64,
}

impl MachineType {
    /// Reads `cNmM`: N processors, M GiB of memory.
    pub(super) fn parse(name: &str) -> Result<Self, Error> {
        let numbers = name
            .strip_prefix('c')
            .and_then(|rest| rest.split_once('m'))
            .and_then(|(cpu, memory)| Some((number(cpu, 64)?, number(memory, 512)?)));
        let Some((cpu, memory_gib)) = numbers else {
            return Err(Error::Invalid(format!(
                "unknown machine type {name:?}: use cNmM, for example c1m2"
            )));
        };
        Ok(Self {
            cpu,
            memory_mib: i64::from(memory_gib) * 1024,
        })
    }
}

/// A number from 1 to `most`, written without sign or leading zeros.
fn number(text: &str, most: i32) -> Option<i32> {
    let value: i32 = text.parse().ok()?;
    ((1..=most).contains(&value) && value.to_string() == text).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_says_processors_and_memory() {
        let largest = MachineType {
            cpu: 64,
            memory_mib: 512 * 1024,
        };
        assert_eq!(MachineType::parse("c64m512").unwrap(), largest);
        for bad in [
            "", "c1", "m1", "c0m1", "c65m1", "c1m513", "c+1m2", "c01m2", "c1m2 ", "C1M2",
        ] {
            assert!(MachineType::parse(bad).is_err(), "{bad}");
        }
    }
}
