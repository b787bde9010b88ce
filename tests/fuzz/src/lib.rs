//! What the targets have in common.

use hostler_daemon::recording::Reader;
use hostler_decide::window::WindowSum;

/// Reads a recording as a command does: whatever is in it, it is read or refused, and what was read
/// makes windows.
pub fn read(file: &[u8]) {
    let Ok(mut reader) = Reader::new("fuzzed".to_owned(), file) else {
        return;
    };
    let mut sum: Option<WindowSum> = None;
    while let Ok(Some(moment)) = reader.read() {
        let reading = moment.reading.clone();
        let sum = match &mut sum {
            Some(sum) => {
                sum.add(reading);
                sum
            }
            None => sum.insert(WindowSum::new(reading)),
        };
        let _window = sum.take();
    }
}
