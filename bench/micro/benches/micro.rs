//! Measures the time of the workloads: `cargo bench -p volt-bench-micro --bench micro`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

fn micro(criterion: &mut Criterion) {
    for (name, mut work) in volt_bench_micro::all() {
        criterion.bench_function(&name, |bencher| bencher.iter(|| black_box(&mut work)()));
    }
}

criterion_group!(benches, micro);
criterion_main!(benches);
