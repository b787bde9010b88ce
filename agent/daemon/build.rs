//! Turns the schemas of recordings, of the history and of the control API into types.

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed=proto");
    let recording = protox::compile(["proto/recording.proto"], ["proto"])?;
    prost_build::Config::new().compile_fds(recording)?;
    let history = protox::compile(["proto/history.proto"], ["proto"])?;
    prost_build::Config::new().compile_fds(history)?;
    let control = protox::compile(["proto/control.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // Readings are those of recordings.
        .extern_path(".hostler.recording.v1", "crate::recording::schema")
        .compile_fds(control)?;
    Ok(())
}
