#include "array/run.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "array/copy.h"
#include "array/elementwise.h"
#include "array/reduce.h"
#include "array/select.h"
#include "testing.h"

namespace spanflow::array {
namespace {

using base::Code;
using base::DType;
using base::Kind;
using memory::Borrower;
using testing::MakeView;
using testing::TestBlock;

TEST(RunScopeTest, BorrowsEachBlockOnceAndReturnsIt) {
  const View a = MakeView(DType(Kind::kF32), {3}), b = MakeView(DType(Kind::kF32), {3});
  {
    RunScope scope;
    ASSERT_TRUE(scope.Add(a).ok());
    ASSERT_TRUE(scope.Add(b).ok());
    ASSERT_TRUE(scope.Add(a).ok());
    EXPECT_EQ(a.block->borrows(Borrower::kKernel), 1);
    EXPECT_EQ(a.block->Close().code(), Code::kBuffer);
  }
  EXPECT_EQ(a.block->borrows(Borrower::kKernel), 0);
  EXPECT_TRUE(a.block->Close().ok());
  RunScope scope;
  ASSERT_TRUE(scope.Add(b).ok());
  EXPECT_EQ(scope.Add(a).message(), "operation on a closed array");
}

TEST(RunScopeTest, AnyNumberOfBlocks) {
  std::vector<View> views;
  for (int i = 0; i < 20; ++i) views.push_back(MakeView(DType(Kind::kI8), {1}));
  {
    RunScope scope;
    for (int round = 0; round < 2; ++round) {
      for (const View& view : views) ASSERT_TRUE(scope.Add(view).ok());
    }
    for (const View& view : views) EXPECT_EQ(view.block->borrows(Borrower::kKernel), 1);
  }
  for (const View& view : views) EXPECT_EQ(view.block->borrows(Borrower::kKernel), 0);
}

TEST(RunScopeTest, LostPagesAreAnErrorThatNamesTheFile) {
  auto* block = new TestBlock(16, memory::BlockKind::kMapped);
  const View view{
      memory::BlockRef::Adopt(block), block->address(), {DType(Kind::kF32), {4}, {4}}, false};
  RunScope quiet;
  ASSERT_TRUE(quiet.Add(view).ok());
  EXPECT_TRUE(quiet.Finish().ok());
  RunScope scope;
  ASSERT_TRUE(scope.Add(view).ok());
  block->LosePage();
  const base::Status status = scope.Finish();
  EXPECT_EQ(status.code(), Code::kOs);
  EXPECT_EQ(status.os_error(), EIO);
  EXPECT_EQ(status.path(), "/data/test.bin");
  RunScope later;  // nothing more is lost, but what was lost stays lost
  ASSERT_TRUE(later.Add(view).ok());
  EXPECT_EQ(later.Finish().code(), Code::kOs);
}

TEST(RunScopeTest, EveryOperationRefusesAClosedArray) {
  const View open = MakeView(DType(Kind::kF32), {3}), closed = MakeView(DType(Kind::kF32), {3});
  const View mask = MakeView(DType(Kind::kBool), {3}), index = MakeView(DType(Kind::kI64), {2});
  const View scalar = MakeView(DType(Kind::kF32), {});
  ASSERT_TRUE(closed.block->Close().ok());
  const View in[] = {open, closed};
  const auto sum = simd::Reduction::kSum;
  const auto message = [](const base::Status& status) { return status.message(); };
  const std::string expected = "operation on a closed array";
  EXPECT_EQ(message(testing::ElementwiseOf(simd::Op::kAdd, in, Kind::kF32, open)), expected);
  EXPECT_EQ(message(Copy(closed, open)), expected);
  EXPECT_EQ(message(Copy(open, closed)), expected);
  EXPECT_EQ(message(Fill(closed, scalar)), expected);
  EXPECT_EQ(message(Reduce(sum, closed, AllAxes(1), {}, scalar)), expected);
  EXPECT_EQ(message(ReduceMany({&sum, 1}, closed, 0, {&scalar, 1})), expected);
  EXPECT_EQ(message(Compress(closed, mask).status()), expected);
  EXPECT_EQ(message(PutMask(closed, mask, scalar)), expected);
  EXPECT_EQ(message(Take(closed, index, 0).status()), expected);
  EXPECT_EQ(message(Put(closed, index, 0, scalar)), expected);
  EXPECT_EQ(message(Nonzero(closed).status()), expected);
  EXPECT_EQ(open.block->borrows(Borrower::kKernel), 0);
}

}  // namespace
}  // namespace spanflow::array
