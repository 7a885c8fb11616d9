#include "memory/heap.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

namespace spanflow::memory {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

BlockRef Allocate(int64_t nbytes, bool zeroed = false) {
  auto block = AllocateHeap(nbytes, zeroed);
  EXPECT_TRUE(block.ok()) << block.status().message();
  return *std::move(block);
}

bool AllZero(const Block& block) {
  for (int64_t i = 0; i < block.nbytes(); ++i) {
    if (block.address()[i] != std::byte{0}) return false;
  }
  return true;
}

TEST(Heap, EveryBlockIsAlignedAndWritable) {
  for (const int64_t nbytes : {int64_t{0}, int64_t{1}, int64_t{63}, int64_t{64}, int64_t{1000},
                               kMiB - 1, kMiB, 5 * kMiB + 3, 33 * kMiB}) {
    const BlockRef block = Allocate(nbytes);
    ASSERT_NE(block->address(), nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block->address()) % kHeapAlignment, 0u) << nbytes;
    EXPECT_EQ(block->nbytes(), nbytes);
    EXPECT_EQ(block->kind(), BlockKind::kHeap);
    EXPECT_FALSE(block->readonly());
    EXPECT_EQ(block->description(), "heap");
    std::memset(block->address(), 1, static_cast<size_t>(nbytes));
  }
}

TEST(Heap, CountersFollowWhatIsAlive) {
  const HeapStats before = GetHeapStats();
  {
    const BlockRef small = Allocate(1000);
    const BlockRef large = Allocate(3 * kMiB);
    EXPECT_EQ(GetHeapStats().live_bytes, before.live_bytes + 1000 + 3 * kMiB);
    EXPECT_EQ(GetHeapStats().live_blocks, before.live_blocks + 2);
    EXPECT_GE(GetHeapStats().peak_bytes, before.live_bytes + 1000 + 3 * kMiB);
    EXPECT_TRUE(large->Close().ok());  // bytes go with the close, not with the reference
    EXPECT_EQ(GetHeapStats().live_bytes, before.live_bytes + 1000);
  }
  EXPECT_EQ(GetHeapStats().live_bytes, before.live_bytes);
  EXPECT_EQ(GetHeapStats().live_blocks, before.live_blocks);
}

TEST(Heap, LargeBlocksAreRecycledWithinTheirClass) {
  if (HeapCacheLimit() == 0) GTEST_SKIP() << "this build recycles nothing";
  TrimHeap();
  const std::byte* address = Allocate(16 * kMiB)->address();
  EXPECT_EQ(GetHeapStats().cached_bytes, 16 * kMiB);
  const BlockRef again = Allocate(16 * kMiB - 100);
  EXPECT_EQ(again->address(), address);
  EXPECT_EQ(again->nbytes(), 16 * kMiB - 100);
  EXPECT_EQ(GetHeapStats().cached_bytes, 0);
  const BlockRef other = Allocate(16 * kMiB);
  EXPECT_NE(other->address(), address);
}

TEST(Heap, RecycledBlocksStayAligned) {
  for (int round = 0; round < 3; ++round) {
    std::vector<BlockRef> blocks;
    for (int64_t i = 0; i < 20; ++i) {
      blocks.push_back(Allocate(kMiB + i * 123457));
      ASSERT_EQ(reinterpret_cast<uintptr_t>(blocks.back()->address()) % kHeapAlignment, 0u);
      std::memset(blocks.back()->address(), 0xAB, static_cast<size_t>(blocks.back()->nbytes()));
    }
  }
}

TEST(Heap, ZeroedMeansZeroedAlsoWhenRecycled) {
  for (const int64_t nbytes : {int64_t{100}, 2 * kMiB, 9 * kMiB + 5}) {
    {
      const BlockRef dirty = Allocate(nbytes);
      std::memset(dirty->address(), 0xFF, static_cast<size_t>(nbytes));
    }
    const BlockRef clean = Allocate(nbytes, /*zeroed=*/true);
    EXPECT_TRUE(AllZero(*clean)) << nbytes;
    const BlockRef fresh = Allocate(nbytes, /*zeroed=*/true);
    EXPECT_TRUE(AllZero(*fresh)) << nbytes;
  }
}

TEST(Heap, LimitBoundsWhatIsKept) {
  if (HeapCacheLimit() == 0) GTEST_SKIP() << "this build recycles nothing";
  const int64_t limit = HeapCacheLimit();
  SetHeapCacheLimit(3 * kMiB);
  for (int i = 0; i < 8; ++i) {
    const BlockRef a = Allocate(kMiB), b = Allocate(2 * kMiB), c = Allocate(4 * kMiB);
  }
  EXPECT_LE(GetHeapStats().cached_bytes, 3 * kMiB);
  SetHeapCacheLimit(0);
  EXPECT_EQ(GetHeapStats().cached_bytes, 0);
  SetHeapCacheLimit(limit);
  EXPECT_EQ(HeapCacheLimit(), limit);
  EXPECT_LE(limit, int64_t{1} << 30);
}

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0;
  statm >> pages >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

TEST(Heap, TrimGivesMemoryBackToTheSystem) {
  if (HeapCacheLimit() == 0) GTEST_SKIP() << "this build recycles nothing";
  for (const int64_t nbytes : {int64_t{2} * kMiB, int64_t{64} * kMiB}) {
    TrimHeap();
    const int64_t before = ResidentBytes();
    {
      std::vector<BlockRef> blocks;
      for (int64_t used = 0; used < 64 * kMiB; used += nbytes) {
        blocks.push_back(Allocate(nbytes));
        std::memset(blocks.back()->address(), 1, static_cast<size_t>(nbytes));
      }
    }
    EXPECT_GE(ResidentBytes(), before + 60 * kMiB);  // kept warm …
    TrimHeap();
    EXPECT_LE(ResidentBytes(), before + 8 * kMiB);  // … until now
  }
}

TEST(Heap, ImpossibleSizesAreAMemoryErrorThatNamesThem) {
  for (const int64_t nbytes : {INT64_MAX, INT64_MAX / 2, int64_t{1} << 50}) {
    const auto block = AllocateHeap(nbytes);
    ASSERT_FALSE(block.ok());
    EXPECT_EQ(block.status().code(), base::Code::kMemory);
    EXPECT_NE(block.status().message().find(std::to_string(nbytes)), std::string::npos);
  }
  EXPECT_EQ(AllocateHeap(-1).status().code(), base::Code::kValue);
  EXPECT_EQ(GetHeapStats().live_blocks, 0);
}

TEST(Heap, BlocksMayBeReleasedByAnyThread) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      std::vector<BlockRef> mine;
      for (int i = 0; i < 200; ++i) {
        mine.push_back(Allocate(i % 5 == 0 ? kMiB + i : i * 100));
        mine.back()->address()[0] = std::byte{1};
        if (mine.size() > 8) std::thread([given = std::move(mine)] {}).join(), mine.clear();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(GetHeapStats().live_blocks, 0);
}

TEST(Heap, AForkedChildAllocatesAndRecycles) {
  const BlockRef parents = Allocate(2 * kMiB, true);
  { const BlockRef cached = Allocate(2 * kMiB); }
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    auto one = AllocateHeap(2 * kMiB), two = AllocateHeap(2 * kMiB);
    const bool good = one.ok() && two.ok() && (*one)->address() != (*two)->address();
    _exit(good && AllZero(*parents) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace spanflow::memory
