// ParallelReduce: one value from an index space, the same for any number of threads.
//
// Owns: nothing; values live on the stacks of the threads that make them.
// Threads: thread-safe; leaf and combine are called on several threads at once.
// Attached: not needed; never while it waits. Fails: rethrows the first exception of leaf or
// combine.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include "runtime/group.h"
#include "runtime/pool.h"

namespace spanflow::runtime {

// leaf(begin, end) for every run of `grain` indices of [0, n), n > 0; combine(left, right) joins
// neighbours. The tree that they form depends on n and grain only: each node halves its runs. Which
// nodes are done by other threads depends on who is free, and changes nothing.
template <class T, class Leaf, class Combine>
class Reduction {
 public:
  Reduction(int64_t n, int64_t grain, const Leaf& leaf, const Combine& combine, int threads)
      : n_(n), grain_(grain), leaf_(leaf), combine_(combine), threads_(threads) {}

  T Node(int64_t begin, int64_t end) {
    if (end - begin == 1) return leaf_(begin * grain_, std::min(end * grain_, n_));
    const int64_t middle = begin + (end - begin) / 2;
    if (!Claim()) {
      T left = Node(begin, middle);
      return combine_(std::move(left), Node(middle, end));
    }
    std::optional<T> right;
    TaskGroup group;
    group.Spawn([&] {
      right.emplace(Node(middle, end));
      strands_.fetch_sub(1, std::memory_order_relaxed);
    });
    T left = Node(begin, middle);
    group.Wait();
    return combine_(std::move(left), *std::move(right));
  }

 private:
  // Whether one more thread could be used.
  bool Claim() {
    if (strands_.load(std::memory_order_relaxed) >= threads_) return false;
    if (strands_.fetch_add(1, std::memory_order_relaxed) < threads_) return true;
    strands_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }

  const int64_t n_, grain_;
  const Leaf& leaf_;
  const Combine& combine_;
  const int threads_;
  std::atomic<int> strands_{1};
};

template <class T, class Leaf, class Combine>
T ParallelReduce(int64_t n, int64_t grain, const Leaf& leaf, const Combine& combine,
                 int max_threads = 0) {
  const int threads = max_threads > 0 ? max_threads : NumThreads();
  const int64_t unit = std::max<int64_t>(grain, 1);
  return Reduction<T, Leaf, Combine>(n, unit, leaf, combine, threads).Node(0, (n - 1) / unit + 1);
}

}  // namespace spanflow::runtime
