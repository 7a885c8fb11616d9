#include "memory/recycler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

namespace spanflow::memory {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

// Stands for memory: the recycler never looks inside.
std::byte* Fake(int64_t number) { return reinterpret_cast<std::byte*>(number * 64); }
std::vector<int64_t> freed;
void Free(std::byte* address) { freed.push_back(reinterpret_cast<int64_t>(address) / 64); }

class RecyclerTest : public ::testing::Test {
 protected:
  RecyclerTest() { freed.clear(); }
};

TEST_F(RecyclerTest, ClassesWasteAtMostAnEighth) {
  for (int64_t nbytes = kMiB; nbytes < (int64_t{1} << 40); nbytes += nbytes / 7 + 1) {
    const int64_t size = Recycler::ClassBytes(nbytes);
    EXPECT_GE(size, nbytes);
    EXPECT_LE(size - nbytes, nbytes / 8);
    EXPECT_EQ(Recycler::ClassBytes(size), size);  // what comes back is found again
  }
  EXPECT_EQ(Recycler::ClassBytes(128 * kMiB), 128 * kMiB);
  EXPECT_EQ(Recycler::ClassBytes(128 * kMiB + 1), 144 * kMiB);
  EXPECT_EQ(Recycler::ClassBytes(INT64_MAX), -1);
}

TEST_F(RecyclerTest, GivesBackTheNewestOfTheClass) {
  Recycler cache(10 * kMiB, Free);
  cache.Put(Fake(1), kMiB);
  cache.Put(Fake(2), 2 * kMiB);
  cache.Put(Fake(3), kMiB);
  EXPECT_EQ(cache.bytes(), 4 * kMiB);
  EXPECT_EQ(cache.Take(kMiB), Fake(3));
  EXPECT_EQ(cache.Take(kMiB), Fake(1));
  EXPECT_EQ(cache.Take(kMiB), nullptr);
  EXPECT_EQ(cache.Take(2 * kMiB), Fake(2));
  EXPECT_EQ(cache.bytes(), 0);
  EXPECT_TRUE(freed.empty());
}

TEST_F(RecyclerTest, OldestGoesFirstWhenTheLimitIsReached) {
  Recycler cache(4 * kMiB, Free);
  for (int64_t i = 1; i <= 4; ++i) cache.Put(Fake(i), kMiB);
  cache.Put(Fake(5), 2 * kMiB);
  EXPECT_EQ(freed, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(cache.bytes(), 4 * kMiB);
  cache.Put(Fake(6), 5 * kMiB);  // larger than the whole cache: it goes itself
  EXPECT_EQ(freed, (std::vector<int64_t>{1, 2, 6}));
  EXPECT_EQ(cache.bytes(), 4 * kMiB);
}

TEST_F(RecyclerTest, NumberOfBlocksIsBoundedToo) {
  Recycler cache(int64_t{1} << 40, Free);
  for (int64_t i = 1; i <= 300; ++i) cache.Put(Fake(i), kMiB);
  EXPECT_EQ(cache.bytes(), 256 * kMiB);
  EXPECT_EQ(freed.size(), 44u);
  EXPECT_EQ(freed.back(), 44);
  EXPECT_EQ(cache.Take(kMiB), Fake(300));
}

TEST_F(RecyclerTest, LoweringTheLimitShrinksAtOnce) {
  Recycler cache(8 * kMiB, Free);
  for (int64_t i = 1; i <= 8; ++i) cache.Put(Fake(i), kMiB);
  cache.SetLimit(3 * kMiB);
  EXPECT_EQ(freed, (std::vector<int64_t>{1, 2, 3, 4, 5}));
  cache.Trim();
  EXPECT_EQ(freed.size(), 8u);
  EXPECT_EQ(cache.bytes(), 0);
  cache.SetLimit(-1);
  cache.Put(Fake(9), kMiB);
  EXPECT_EQ(freed.back(), 9);
}

TEST_F(RecyclerTest, WhatIsLeftIsFreedWithIt) {
  {
    Recycler cache(8 * kMiB, Free);
    cache.Put(Fake(1), kMiB);
  }
  EXPECT_EQ(freed, (std::vector<int64_t>{1}));
}

TEST_F(RecyclerTest, ForkRecoveryKeepsAnIntactCache) {
  Recycler cache(8 * kMiB, Free);
  cache.Put(Fake(1), kMiB);
  cache.RecoverAfterFork();
  EXPECT_EQ(cache.Take(kMiB), Fake(1));
}

TEST(RecyclerThreads, EveryBlockHasOneOwner) {
  Recycler cache(64 << 10, [](std::byte* address) { std::free(address); });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cache, t] {
      for (int i = 0; i < 2000; ++i) {
        const int64_t size = 1024 << (i % 3);
        std::byte* memory = cache.Take(size);
        if (memory == nullptr)
          memory = static_cast<std::byte*>(std::malloc(static_cast<size_t>(size)));
        memory[0] = static_cast<std::byte>(t);  // two owners would race here
        memory[size - 1] = static_cast<std::byte>(t);
        ASSERT_EQ(memory[0], static_cast<std::byte>(t));
        cache.Put(memory, size);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(cache.bytes(), 64 << 10);
}

// Between two looks at the limit it may have become 0 and the cache empty.
TEST_F(RecyclerTest, TheLimitMayChangeWhileMemoryComesBack) {
  Recycler cache(10 * kMiB, [](std::byte*) {});
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    for (int i = 0; !stop.load(); ++i) {
      cache.SetLimit(i % 2 == 0 ? 0 : 10 * kMiB);
      for (int wait = i % 61; wait > 0 && !stop.load(); --wait) {  // never in step with the other
      }
    }
  });
  for (int64_t i = 1; i <= 3000000; ++i) {
    cache.Put(Fake(i), kMiB);
    ASSERT_GE(cache.bytes(), 0);
  }
  stop = true;
  changer.join();
  cache.Trim();
  EXPECT_EQ(cache.bytes(), 0);
}

}  // namespace
}  // namespace spanflow::memory
