//! Name and operating system of this machine.

/// The name of the machine; `unknown-host` if it has none that is Unicode.
pub fn hostname() -> String {
    gethostname::gethostname()
        .into_string()
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown-host".into())
}

/// The operating system, in the contract's words.
pub fn os_name() -> &'static str {
    match std::env::consts::FAMILY {
        _ if cfg!(target_os = "linux") => "linux",
        _ if cfg!(target_os = "macos") => "macos",
        "windows" => "windows",
        "unix" => "unix",
        _ => "unknown-os",
    }
}
