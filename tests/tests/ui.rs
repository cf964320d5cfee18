//! The macro's error messages.
//!
//! One mistake a file, named after it; `many` has several at once. After a change of messages run
//! `TRYBUILD=overwrite cargo test -p tests --test ui` and read the diff. What must compile is in `pass`: a single
//! `pass` here would make trybuild build every case on its own, in place of one check of all.

#[test]
fn mistakes_are_reported_at_their_place() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/attributes/*.rs");
    cases.compile_fail("ui/dataflow/*.rs");
    cases.compile_fail("ui/functions/*.rs");
    cases.compile_fail("ui/many/*.rs");
    cases.compile_fail("ui/stubs/*.rs");
    cases.compile_fail("ui/syntax/*.rs");
    cases.compile_fail("ui/types/*.rs");
}
