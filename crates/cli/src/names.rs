//! Names of the user and of this machine, as the system knows them.

use std::env;

/// Returns the user's name, from the environment or the system's list of users.
pub(crate) fn user_name() -> Option<String> {
    let from_environment =
        ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| env::var(name).ok());
    from_environment.filter(|name| !name.is_empty()).or_else(listed_name)
}

/// Services and containers often lack such a variable.
#[cfg(unix)]
fn listed_name() -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    name_of(rustix::process::getuid().as_raw(), &users)
}

#[cfg(not(unix))]
fn listed_name() -> Option<String> {
    None
}

/// Returns the name of a user in a list of the form `name:x:uid:…`.
#[cfg(unix)]
fn name_of(user: u32, users: &str) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(user)).then(|| name.to_owned())
    })
}

/// Returns the name of this machine, without its domain.
pub(crate) fn host_name() -> String {
    #[cfg(unix)]
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let host = env::var("COMPUTERNAME").unwrap_or_else(|_| "here".to_owned());
    host
}

/// Returns `user@host`, for the comment of a key.
pub(crate) fn user_at_host() -> String {
    let user = user_name().unwrap_or_else(|| "someone".to_owned());
    format!("{user}@{}", host_name())
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_user_without_a_variable_is_found_in_the_list_of_users() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nana:x:1000:1000::/home/ana:/bin/sh\n";
        assert_eq!(name_of(1_000, users).as_deref(), Some("ana"));
        assert_eq!(name_of(0, users).as_deref(), Some("root"));
        assert_eq!(name_of(7, users), None);
    }
}
