//! The life of the packages on fresh systems of Debian 12 and 13: installed, set up, hurt, upgraded, removed.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

/// Runs scenarios on each release, as tests of their own.
macro_rules! on_each_release {
    ($($scenario:ident,)+) => {$(
        mod $scenario {
            use packaging::machine::Release;

            #[test]
            fn on_debian_12() {
                super::$scenario(Release::Bookworm);
            }

            #[test]
            fn on_debian_13() {
                super::$scenario(Release::Trixie);
            }
        }
    )+};
}

mod companions;
mod harness;
mod host;
mod install;
mod quality;
mod removal;
mod service;
mod upgrade;
