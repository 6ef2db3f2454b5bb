//! A failure at each stage.
