//! Nothing but tests: each file in `tests/` is a reason why the project can be trusted.
