//! Who somebody is.

/// A person who has proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The claim `sub`: what rooms are owned by.
    pub user_id: String,
    /// The name that the issuer knows, if it tells.
    pub name: Option<String>,
    /// The e-mail address that the issuer knows, if it tells.
    pub email: Option<String>,
}
