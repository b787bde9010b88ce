//! Alarms: the kernel tells when pressure on the host or a group rises above a threshold, so that
//! nobody has to look often.
//!
//! Each alarm costs the kernel some work at every change of a thread's state in its group, and before
//! Linux 6.5 a kernel thread for each group, so there are at most [`MAX_ALARMS`]: the host's, and
//! those of the groups with most agents. Agents are read in turn instead.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

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
    /// How often the kernel has told.
    told: u64,
}

/// The alarms that are set.
pub(crate) struct Alarms {
    epoll: Epoll,
    /// By the number under which the kernel tells of them.
    set: BTreeMap<u64, (Place, Alarm)>,
    next: u64,
    /// Alarms that could not be set, and why the last one could not.
    pub(crate) refused: Option<(u64, String)>,
}

impl Alarms {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            set: BTreeMap::new(),
            next: 0,
            refused: None,
        })
    }

    /// A descriptor that can be read while there is something to be told.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.epoll.0.as_fd().try_clone_to_owned()
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
        let alarm = Alarm {
            name,
            _file: file,
            told: 0,
        };
        self.set.insert(number, (place, alarm));
        Ok(())
    }

    /// Takes in what the kernel has told, and returns how often it has told of each.
    pub(crate) fn read(&mut self) -> Vec<(String, u64)> {
        let mut events = [EpollEvent::empty(); MAX_ALARMS];
        // An error means that nothing is told.
        let told = self
            .epoll
            .wait(&mut events, EpollTimeout::ZERO)
            .unwrap_or(0);
        let mut gone = Vec::new();
        for event in &events[..told] {
            let number = event.data();
            // The group of an alarm is gone: it would be told of again and again.
            if event.events().contains(EpollFlags::EPOLLERR) {
                gone.push(number);
            } else if let Some((_, alarm)) = self.set.get_mut(&number) {
                alarm.told += 1;
            }
        }
        for number in gone {
            self.set.remove(&number);
        }
        let alarms = self.set.values();
        alarms
            .map(|(_, alarm)| (alarm.name.clone(), alarm.told))
            .collect()
    }

    /// How many are set.
    pub(crate) fn len(&self) -> usize {
        self.set.len()
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
