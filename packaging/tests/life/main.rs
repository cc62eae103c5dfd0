//! The life of the packages on fresh systems of Debian 12 and 13: installed, set up, hurt, upgraded, removed.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

/// Runs scenarios on each release, as tests of their own; with `alone;` before them, one at a time.
macro_rules! on_each_release {
    ($turn:ident; $($scenario:ident,)+) => {$(
        mod $scenario {
            use packaging::machine::Release;

            #[test]
            fn on_debian_12() {
                let _turn = crate::turn::$turn();
                super::$scenario(Release::Bookworm);
            }

            #[test]
            fn on_debian_13() {
                let _turn = crate::turn::$turn();
                super::$scenario(Release::Trixie);
            }
        }
    )+};
    ($($scenario:ident,)+) => { on_each_release! { shared; $($scenario,)+ } };
}

mod api;
mod companions;
mod harness;
mod host;
mod install;
mod quality;
mod removal;
mod service;
mod turn;
mod unit;
mod upgrade;
