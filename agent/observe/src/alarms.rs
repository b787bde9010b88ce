//! Alarms: the kernel tells when pressure on the host or a group rises above a threshold, so that
//! nobody has to look often.
//!
//! Each alarm costs the kernel some work at every change of a thread's state in its group, and before
//! Linux 6.5 a kernel thread for each group, so there are at most [`MAX_ALARMS`]: the host's, and
//! those of the groups with most agents. Agents are read in turn instead.
//!
//! A thread of its own waits for them: the kernel tells of an alarm to whoever asks first, so that an
//! event loop that looks whether there is something to be told would take it away.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::{EfdFlags, EventFd},
};

use crate::capabilities::give_up_all;

/// Alarms at a time.
pub(crate) const MAX_ALARMS: usize = 64;

/// Time lost in a window, in µs, from which on the kernel tells: 10 %.
const THRESHOLD_US: u32 = 200_000;

/// The window in µs. Multiples of two seconds need no privilege, nor a kernel thread from 6.5 on.
const WINDOW_US: u32 = 2_000_000;

/// For want of what, with the words that name the files.
const RESOURCES: [&str; 3] = ["cpu", "memory", "io"];

/// Where an alarm lies: the cgroup's path below the root, nothing for the host; and the resource.
type Place = (Option<String>, &'static str);

struct Alarm {
    name: String,
    /// Keeps the alarm set.
    _file: File,
}

/// In place of an alarm's number: the thread is to end.
const END: u64 = u64::MAX;

/// What the thread has heard of.
#[derive(Default)]
struct Heard {
    /// How often of each alarm, by number.
    told: BTreeMap<u64, u64>,
    /// Alarms whose group is gone: the kernel would tell of them again and again.
    gone: Vec<u64>,
}

/// The alarms that are set.
pub(crate) struct Alarms {
    epoll: Arc<Epoll>,
    heard: Arc<Mutex<Heard>>,
    /// Rings when something was heard.
    bell: Arc<EventFd>,
    end: EventFd,
    listener: Option<JoinHandle<()>>,
    /// By the number under which the kernel tells of them.
    set: BTreeMap<u64, (Place, Alarm)>,
    next: u64,
    /// Alarms that could not be set, and why the last one could not.
    pub(crate) refused: Option<(u64, String)>,
}

impl Alarms {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let epoll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        let bell = Arc::new(EventFd::from_flags(flags)?);
        let end = EventFd::from_flags(flags)?;
        epoll.add(&end, EpollEvent::new(EpollFlags::EPOLLIN, END))?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let listener = {
            let (epoll, bell, heard) = (epoll.clone(), bell.clone(), heard.clone());
            thread::Builder::new()
                .name("alarms".to_owned())
                .spawn(move || {
                    give_up_all();
                    listen(&epoll, &heard, &bell);
                })?
        };
        Ok(Self {
            epoll,
            heard,
            bell,
            end,
            listener: Some(listener),
            set: BTreeMap::new(),
            next: 0,
            refused: None,
        })
    }

    /// A descriptor that can be read while there is something to be told.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.bell.as_fd().try_clone_to_owned()
    }

    /// Sets the alarms of the host and of the cgroups at `groups`, paths below `cgroup_root`, and
    /// takes back those of others.
    pub(crate) fn watch(&mut self, cgroup_root: &Path, groups: &[String]) {
        let hosts = RESOURCES.map(|resource| (None, resource));
        let of_groups = groups
            .iter()
            .flat_map(|group| RESOURCES.map(|resource| (Some(group.clone()), resource)));
        let wanted: Vec<Place> = hosts
            .into_iter()
            .chain(of_groups)
            .take(MAX_ALARMS / RESOURCES.len() * RESOURCES.len())
            .collect();
        self.set.retain(|_, (place, _)| wanted.contains(place));
        self.refused = None;
        for place in wanted {
            if self.set.values().any(|(other, _)| *other == place) {
                continue;
            }
            if let Err(error) = self.add(cgroup_root, place) {
                let (count, _) = self.refused.take().unwrap_or_default();
                self.refused = Some((count + 1, error.to_string()));
            }
        }
    }

    fn add(&mut self, cgroup_root: &Path, place: Place) -> io::Result<()> {
        let (group, resource) = &place;
        let (path, name) = match group {
            None => (
                PathBuf::from("/proc/pressure").join(resource),
                format!("host {resource}"),
            ),
            Some(group) => (
                cgroup_root.join(group).join(format!("{resource}.pressure")),
                format!("{group} {resource}"),
            ),
        };
        let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
        file.write_all(format!("some {THRESHOLD_US} {WINDOW_US}\0").as_bytes())?;
        let number = self.next;
        self.next += 1;
        self.epoll
            .add(&file, EpollEvent::new(EpollFlags::EPOLLPRI, number))?;
        let alarm = Alarm { name, _file: file };
        self.set.insert(number, (place, alarm));
        Ok(())
    }

    /// Takes in what the kernel has told, and returns how often it has told of each.
    pub(crate) fn read(&mut self) -> Vec<(String, u64)> {
        // What rings from here on is for the next time; an error means that it did not ring.
        let _silent = self.bell.read();
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        for number in heard.gone.drain(..) {
            self.set.remove(&number);
        }
        let alarms = self.set.iter();
        alarms
            .map(|(number, (_, alarm))| {
                let told = heard.told.get(number).copied().unwrap_or(0);
                (alarm.name.clone(), told)
            })
            .collect()
    }

    /// How many are set.
    pub(crate) fn len(&self) -> usize {
        self.set.len()
    }
}

impl Drop for Alarms {
    fn drop(&mut self) {
        // It can only fail if the count is full, and then the thread ends as well.
        let _full = self.end.write(1);
        if let Some(listener) = self.listener.take() {
            // If it has panicked, it has ended.
            let _panicked = listener.join();
        }
    }
}

/// Hears of alarms until it is to end.
fn listen(epoll: &Epoll, heard: &Mutex<Heard>, bell: &EventFd) {
    let mut events = [EpollEvent::empty(); MAX_ALARMS + 1];
    loop {
        // An interrupted wait tells of nothing.
        let told = epoll.wait(&mut events, EpollTimeout::NONE).unwrap_or(0);
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &events[..told] {
            let number = event.data();
            if number == END {
                return;
            }
            if event.events().contains(EpollFlags::EPOLLERR) {
                heard.gone.push(number);
            } else {
                *heard.told.entry(number).or_default() += 1;
            }
        }
        drop(heard);
        // It can only fail if the bell has rung already.
        let _rung = bell.write(1);
        if events[..told]
            .iter()
            .any(|event| event.events().contains(EpollFlags::EPOLLERR))
        {
            // Until who reads has taken the alarm back.
            thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_alarms_than_allowed_and_whole_groups_only() {
        let mut alarms = Alarms::new().expect("epoll is there");
        let groups: Vec<String> = (0..100)
            .map(|group| format!("no-such-group-{group}"))
            .collect();
        alarms.watch(Path::new("/nowhere"), &groups);
        let refused = alarms.refused.as_ref().map_or(0, |(count, _)| *count);
        let tried = alarms.len() as u64 + refused;
        assert_eq!(tried, 63);
    }

    #[test]
    fn a_group_that_is_not_wanted_any_more_has_no_alarm() {
        let mut alarms = Alarms::new().expect("epoll is there");
        alarms.watch(Path::new("/nowhere"), &[]);
        let host = alarms.len();
        alarms.watch(Path::new("/nowhere"), &["gone".to_owned()]);
        assert_eq!(alarms.len(), host);
        assert_eq!(alarms.read().len(), host);
    }
}
