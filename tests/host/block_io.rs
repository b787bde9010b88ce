//! Bytes read from storage and written to it are what the kernel itself counts of the process.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    ops::RangeInclusive,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use nix::{
    fcntl::{PosixFadviseAdvice, posix_fadvise},
    libc::O_DIRECT,
};

use crate::{
    Need, Test,
    attribution::{count, row_after_interrupt},
    host::{Host, start_hostler},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "bytes_read_and_written_agree_with_the_kernel_s_count_of_the_process",
        needs: &[Need::WritableCgroups, Need::Storage],
        run: bytes_read_and_written_agree_with_the_kernel_s_count_of_the_process,
    },
    Test {
        name: "what_was_read_and_written_before_the_task_iterator_saw_it_is_not_counted",
        needs: &[Need::WritableCgroups, Need::Storage],
        run: what_was_read_and_written_before_the_task_iterator_saw_it_is_not_counted,
    },
    Test {
        name: "what_was_read_and_written_before_it_was_seen_below_proc_is_not_counted",
        needs: &[Need::WritableCgroups, Need::Storage],
        run: what_was_read_and_written_before_it_was_seen_below_proc_is_not_counted,
    },
];

/// What direct I/O must be aligned to, at the most.
const ALIGNMENT: usize = 4096;

/// Bytes of a direct write and read, and of one through the page cache.
const DIRECT_BYTES: usize = 2 << 20;
const CACHED_BYTES: usize = 512 << 10;

/// To print the counts and to exit may read a page or two.
const SLACK_BYTES: u64 = 64 << 10;

/// A file or device on which reads and writes reach a block device.
pub(crate) struct Storage {
    path: PathBuf,
    /// Whether the path is a file of ours.
    is_file: bool,
}

impl Storage {
    /// The first place that works; the reason if there is none.
    pub(crate) fn find() -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let beside_binary = own.parent().unwrap_or(Path::new("/")).to_owned();
        for folder in [beside_binary, std::env::temp_dir(), "/var/tmp".into()] {
            let path = folder.join(format!("hostler-test-{}", std::process::id()));
            let storage = Self {
                path,
                is_file: true,
            };
            if storage.is_counted() {
                return Ok(storage);
            }
        }
        // A guest has its files in memory, and disks of memory that nobody else uses.
        if std::env::var_os("HOSTLER_GUEST").is_some() {
            let loaded = Command::new("modprobe").arg("brd").status();
            let storage = Self {
                path: "/dev/ram0".into(),
                is_file: false,
            };
            if loaded.is_ok_and(|status| status.success()) && storage.is_counted() {
                return Ok(storage);
            }
        }
        Err("no file can be read and written past the page cache on storage".to_owned())
    }

    /// Tries a direct write, and asks the kernel whether it reached storage.
    fn is_counted(&self) -> bool {
        let before = bytes_of_process().1;
        let written = self.direct().and_then(|file| {
            let mut room = vec![0; 2 * ALIGNMENT];
            file.write_all_at(aligned(&mut room, ALIGNMENT), 0)
        });
        written.is_ok() && bytes_of_process().1 >= before + ALIGNMENT as u64
    }

    fn direct(&self) -> std::io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(self.is_file)
            .truncate(false)
            .custom_flags(O_DIRECT)
            .open(&self.path)
    }

    /// Whether it is a file rather than a device.
    pub(crate) fn is_file(&self) -> bool {
        self.is_file
    }

    /// Where there is room for other files.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().expect("a file is in a folder")
    }

    fn path(&self) -> &str {
        self.path.to_str().expect("its path is text")
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if self.is_file {
            // It may never have been made.
            let _absent = std::fs::remove_file(&self.path);
        }
    }
}

/// A part of `room` that direct I/O accepts.
fn aligned(room: &mut [u8], length: usize) -> &mut [u8] {
    let start = room.as_ptr().align_offset(ALIGNMENT);
    &mut room[start..start + length]
}

/// What the kernel has counted for this process: bytes read and written.
fn bytes_of_process() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let value = |field: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(name, _)| *name == field)
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(0)
    };
    (value("read_bytes"), value("write_bytes"))
}

/// Reads and writes a file or device, waits for a line, does so again, and prints what the kernel
/// counted: bytes read and written in all, then those after the line.
pub(crate) fn load(words: &[String]) -> ExitCode {
    let Some(path) = words.first() else {
        return ExitCode::FAILURE;
    };
    let storage = Storage {
        path: path.into(),
        is_file: false,
    };
    read_and_write(&storage).expect("the storage can be used");
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("a line");
    let before = bytes_of_process();
    read_and_write(&storage).expect("the storage can be used");
    let after = bytes_of_process();
    let (read, written) = (after.0 - before.0, after.1 - before.1);
    println!("{} {} {read} {written}", after.0, after.1);
    ExitCode::SUCCESS
}

fn read_and_write(storage: &Storage) -> std::io::Result<()> {
    let mut room = vec![7; DIRECT_BYTES + ALIGNMENT];
    let bytes = aligned(&mut room, DIRECT_BYTES);
    let direct = storage.direct()?;
    direct.write_all_at(bytes, 0)?;
    direct.read_exact_at(bytes, 0)?;
    let mut cached = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&storage.path)?;
    cached.write_all(&bytes[..CACHED_BYTES])?;
    cached.sync_all()?;
    posix_fadvise(&cached, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    cached.read_exact_at(&mut bytes[..CACHED_BYTES], 0)
}

/// Runs the load, and has `hostler` started before it or between its halves: what Hostler counted
/// for the cgroup, and what the kernel did for the process, bytes read and written each.
fn trace_load(host: &Host, threads_from: Option<&str>) -> [(u64, RangeInclusive<u64>); 2] {
    let storage = Storage::find().expect("it was there a moment ago");
    let cgroup = host.cgroup("storage");
    let mut words = vec!["trace", "ledger", "--json"];
    let mut tracer = None;
    match threads_from {
        Some(source) => words.extend(["--threads-from", source]),
        None => tracer = Some(start_hostler(&words)),
    }
    let mut load = cgroup.start_load(&["storage", storage.path()]);
    let mut printed = BufReader::new(load.stdout.take().expect("it is a pipe"));
    let mut line = String::new();
    printed.read_line(&mut line).expect("it gets ready");
    let is_older = tracer.is_none();
    let tracer = tracer.unwrap_or_else(|| start_hostler(&words));
    let mut input = load.stdin.take().expect("it is a pipe");
    input.write_all(b"go\n").expect("the load reads");
    line.clear();
    printed.read_to_string(&mut line).expect("the load prints");
    load.wait().expect("the load ends");
    let truth: Vec<u64> = line
        .split_whitespace()
        .map(|word| word.parse().expect("a number"))
        .collect();
    let truth = if is_older { &truth[2..] } else { &truth[..2] };
    // Much more than the slack: a first half that was counted as well would show.
    assert!(truth.iter().all(|&bytes| bytes > 8 * SLACK_BYTES), "{line}");
    let row = row_after_interrupt(tracer, &cgroup.name);
    let counted = [count(&row, "read_bytes"), count(&row, "written_bytes")];
    [0, 1].map(|at| (counted[at], truth[at]..=truth[at] + SLACK_BYTES))
}

fn assert_agrees(counts: &[(u64, RangeInclusive<u64>)]) {
    for (counted, truth) in counts {
        assert!(
            truth.contains(counted),
            "counted, and the truth: {counts:?}"
        );
    }
}

fn bytes_read_and_written_agree_with_the_kernel_s_count_of_the_process(host: &Host) {
    assert_agrees(&trace_load(host, None));
}

fn what_was_read_and_written_before_the_task_iterator_saw_it_is_not_counted(host: &Host) {
    assert_agrees(&trace_load(host, Some("iterator")));
}

fn what_was_read_and_written_before_it_was_seen_below_proc_is_not_counted(host: &Host) {
    assert_agrees(&trace_load(host, Some("procfs")));
}
