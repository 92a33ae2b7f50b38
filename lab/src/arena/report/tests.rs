use super::sample::full;
use super::*;

#[test]
fn sample_written() {
    if let Ok(folder) = std::env::var("ARENA_SAMPLE") {
        let results = full();
        write(&results, Path::new(&folder)).unwrap();
        fs::write(Path::new(&folder).join("arena.txt"), text(&results)).unwrap();
    }
}
