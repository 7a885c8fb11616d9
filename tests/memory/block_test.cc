#include "memory/block.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

namespace spanflow::memory {
namespace {

// Counts what happens to it; its bytes are unreadable (to sanitizers) once they are released.
class CountedBlock final : public Block {
 public:
  explicit CountedBlock(std::atomic<int>* releases, std::atomic<int>* destroyed)
      : CountedBlock(new std::byte[64](), releases, destroyed) {}

 private:
  CountedBlock(std::byte* bytes, std::atomic<int>* releases, std::atomic<int>* destroyed)
      : Block(bytes, 64, BlockKind::kHeap, false), releases_(releases), destroyed_(destroyed) {}
  void ReleaseBytes() noexcept override {
    delete[] address();
    releases_->fetch_add(1);
  }
  void Destroy() noexcept override {
    destroyed_->fetch_add(1);
    delete this;
  }
  std::atomic<int>* releases_;
  std::atomic<int>* destroyed_;
};

class BlockTest : public ::testing::Test {
 protected:
  BlockRef Make() { return BlockRef::Adopt(new CountedBlock(&releases_, &destroyed_)); }
  std::atomic<int> releases_{0}, destroyed_{0};
};

TEST_F(BlockTest, LastReferenceReleasesOnce) {
  {
    const BlockRef a = Make();
    const BlockRef b = a;  // NOLINT: the copy is what is tested
    const BlockRef c = BlockRef::Share(b.get());
    EXPECT_EQ(releases_, 0);
  }
  EXPECT_EQ(releases_, 1);
  EXPECT_EQ(destroyed_, 1);
}

TEST_F(BlockTest, CloseReleasesTheBytesButNotTheObject) {
  {
    const BlockRef block = Make();
    EXPECT_FALSE(block->closed());
    EXPECT_TRUE(block->Close().ok());
    EXPECT_TRUE(block->closed());
    EXPECT_EQ(releases_, 1);
    EXPECT_EQ(destroyed_, 0);
    EXPECT_TRUE(block->Close().ok());  // again: nothing
    EXPECT_FALSE(block->TryBorrow(Borrower::kExport));
    EXPECT_EQ(block->borrows(Borrower::kExport), 0);
  }
  EXPECT_EQ(releases_, 1);
  EXPECT_EQ(destroyed_, 1);
}

TEST_F(BlockTest, CloseNamesWhoBorrows) {
  const BlockRef block = Make();
  ASSERT_TRUE(block->TryBorrow(Borrower::kExport));
  ASSERT_TRUE(block->TryBorrow(Borrower::kExport));
  ASSERT_TRUE(block->TryBorrow(Borrower::kPipeline));
  const Borrow kernel(block.get(), Borrower::kKernel);
  EXPECT_TRUE(kernel.ok());
  EXPECT_EQ(block->borrows(Borrower::kExport), 2);
  EXPECT_EQ(block->borrows(Borrower::kKernel), 1);
  EXPECT_EQ(block->borrows(Borrower::kPipeline), 1);
  const base::Status status = block->Close();
  EXPECT_EQ(status.code(), base::Code::kBuffer);
  EXPECT_NE(status.message().find("2 exported buffers and 1 running operation and 1 running "
                                  "pipeline"),
            std::string::npos)
      << status.message();
  EXPECT_EQ(releases_, 0);
  block->Return(Borrower::kExport);
  block->Return(Borrower::kExport);
  block->Return(Borrower::kPipeline);
  EXPECT_NE(block->Close().message().find("cannot close: still in use by 1 running operation"),
            std::string::npos);
}

TEST_F(BlockTest, BorrowCountsDoNotRunIntoEachOther) {
  const BlockRef block = Make();
  constexpr int64_t kMost = (1 << 21) - 1;
  for (int64_t i = 0; i < kMost; ++i) ASSERT_TRUE(block->TryBorrow(Borrower::kPipeline));
  EXPECT_FALSE(block->TryBorrow(Borrower::kPipeline));  // one more would look like "closed"
  EXPECT_FALSE(block->closed());
  EXPECT_EQ(block->borrows(Borrower::kPipeline), kMost);
  EXPECT_EQ(block->borrows(Borrower::kKernel), 0);
  for (int64_t i = 0; i < kMost; ++i) block->Return(Borrower::kPipeline);
  EXPECT_TRUE(block->Close().ok());
}

// Whoever borrowed reads valid bytes, whenever the close comes; sanitizers watch the bytes.
TEST_F(BlockTest, CloseAndBorrowRace) {
  for (int round = 0; round < 200; ++round) {
    releases_ = 0;
    std::atomic<int> started{0}, refused{0};
    {
      const BlockRef block = Make();
      std::vector<std::thread> threads;
      for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&, own = block, t] {
          started.fetch_add(1);
          const auto who = static_cast<Borrower>(t);
          for (;;) {
            {
              const Borrow borrow(own.get(), who);
              if (!borrow.ok()) break;
              if (own->address()[static_cast<size_t>(t)] != std::byte{0}) refused.fetch_add(1000);
            }
            std::this_thread::sleep_for(std::chrono::microseconds(20));  // or it is never closed
          }
          refused.fetch_add(1);
        });
      }
      while (started.load() < 3) std::this_thread::yield();
      while (!block->Close().ok()) std::this_thread::yield();
      for (std::thread& thread : threads) thread.join();
    }
    ASSERT_EQ(refused, 3);
    ASSERT_EQ(releases_, 1);
  }
}

TEST_F(BlockTest, ManyThreadsCloseAtOnceAndOneReleases) {
  for (int round = 0; round < 100; ++round) {
    releases_ = 0;
    const BlockRef block = Make();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([block] { EXPECT_TRUE(block->Close().ok()); });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(releases_, 1);
  }
}

TEST(BlockKind, HasNames) {
  EXPECT_STREQ(NameOf(BlockKind::kHeap), "heap");
  EXPECT_STREQ(NameOf(BlockKind::kMapped), "mapped");
  EXPECT_STREQ(NameOf(BlockKind::kForeign), "foreign");
}

}  // namespace
}  // namespace spanflow::memory
