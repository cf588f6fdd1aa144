//! Tells the linker that Node-API symbols come from the host process.
fn main() {
    #[cfg(feature = "node-api")]
    napi_build::setup();
}
