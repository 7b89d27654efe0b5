//! The catalog of models: that of this binary, its form, its prices, and how it is made.

mod charged;
mod content;
mod costs;
mod form;
mod making;
mod served;
