//! Which parts of a file in the VM are the same as here, and the taking over of what an earlier try of the same copy left there.

use std::ops::Range;

use super::reply::broken;
use super::{BLOCK, Call, Deadline, SMALL_OUTPUT};
use crate::error::Error;
use crate::guest::remote::Guest;

/// Parts of a file, and what their checksums must be.
#[derive(Debug)]
pub(crate) struct ReuseRanges<'a> {
    /// Where it stands.
    pub(crate) old: &'a str,
    /// Where this copy puts it together; nothing to only look at it.
    pub(crate) new: Option<&'a str>,
    pub(crate) parts: &'a [(Range<u64>, u32)],
    /// What it is of, for messages.
    pub(crate) path: &'a str,
}

/// Takes the file over if some of it is right; returns for each part whether it is. Nothing is answered where there is no file.
pub(crate) async fn reuse_ranges(
    guest: &impl Guest,
    adopt: ReuseRanges<'_>,
) -> Result<Vec<bool>, Error> {
    let script = concat!(include_str!("base.sh"), include_str!("reuse_ranges.sh"));
    let mut arguments = vec![
        adopt.old.to_owned(),
        adopt.new.unwrap_or_default().to_owned(),
    ];
    for (range, sum) in adopt.parts {
        let block = range.start / BLOCK;
        let size = range.end - range.start;
        arguments.extend([block.to_string(), size.to_string(), sum.to_string()]);
    }
    let call = Call {
        script,
        arguments,
        stdin: Vec::new(),
        output_limit: SMALL_OUTPUT + adopt.parts.len(),
        deadline: Deadline::Transfer,
        action: "look at what an earlier try brought",
        path: adopt.path,
    };
    let answer = call.run(guest).await?.stdout;
    let digits = answer.strip_suffix(b"done").ok_or_else(broken)?;
    let digits = digits.iter().map(|digit| match digit {
        b'0' => Ok(false),
        b'1' => Ok(true),
        _ => Err(broken()),
    });
    digits.collect()
}
