//! Copies under way: the two directions and the copy between VMs, over one sender, one receiver and one limiter.

pub(in crate::transfer) mod download;
pub mod preview;
pub mod rate_limit;
pub(in crate::transfer) mod receive;
pub mod relay;
pub mod request;
mod send;
pub mod shards;
pub(in crate::transfer) mod upload;

pub use download::download;
pub use upload::upload;
