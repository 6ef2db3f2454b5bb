//! Copies under way: the two directions and the copy between VMs, over one sender, one receiver and one limiter.

pub(crate) mod download;
pub mod preview;
pub mod rate_limit;
pub(crate) mod receive;
pub mod relay;
pub mod request;
mod send;
pub mod shards;
pub(crate) mod upload;

pub use download::download;
pub use upload::upload;
