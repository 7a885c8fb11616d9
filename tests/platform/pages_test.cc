#include "platform/pages.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "platform/file.h"
#include "temp_folder.h"

namespace spanflow::platform {
namespace {

using testing::TempFolder;

class Pages : public ::testing::Test {
 protected:
  // Maps `count` pages of a new file.
  void Map(int count) {
    nbytes_ = count * PageSize();
    const std::string path = folder_.Write("data", std::string(static_cast<size_t>(nbytes_), 'x'));
    auto opened = File::Open(path, OpenMode::kReadWrite);
    ASSERT_TRUE(opened.ok());
    file_ = *std::move(opened);
    address_ =
        static_cast<std::byte*>(mmap(nullptr, static_cast<size_t>(nbytes_), PROT_READ | PROT_WRITE,
                                     MAP_SHARED, file_.descriptor(), 0));
    ASSERT_NE(address_, MAP_FAILED);
  }
  ~Pages() override {
    if (address_ != nullptr) munmap(address_, static_cast<size_t>(nbytes_));
  }
  int Present() const {
    std::vector<unsigned char> flags(static_cast<size_t>(nbytes_ / PageSize()));
    mincore(address_, static_cast<size_t>(nbytes_), flags.data());
    int count = 0;
    for (const unsigned char flag : flags) count += flag & 1;
    return count;
  }

  TempFolder folder_;
  File file_;
  std::byte* address_ = nullptr;
  int64_t nbytes_ = 0;
};

TEST_F(Pages, PopulateMakesUnalignedRangesPresent) {
  Map(8);
  EXPECT_TRUE(Populate(address_ + PageSize() + 7, 2 * PageSize(), Access::kRead).ok());
  EXPECT_TRUE(Populate(address_ + 5, 1, Access::kWrite).ok());
  EXPECT_EQ(address_[5], std::byte{'x'});
  EXPECT_TRUE(Populate(address_, 0, Access::kRead).ok());
}

TEST_F(Pages, PopulateOfATruncatedFileIsAnErrorAndNotASignal) {
  Map(8);
  ASSERT_EQ(ftruncate(file_.descriptor(), 2 * PageSize()), 0);
  EXPECT_TRUE(Populate(address_, 2 * PageSize(), Access::kRead).ok());
  const base::Status status = Populate(address_, nbytes_, Access::kRead);
  EXPECT_EQ(status.code(), base::Code::kOs);
  EXPECT_EQ(status.os_error(), EFAULT);
  EXPECT_EQ(Populate(address_, nbytes_, Access::kWrite).os_error(), EFAULT);
}

TEST_F(Pages, AdviceTakesAnyRange) {
  Map(4);
  Advise(address_ + 3, nbytes_ - 5, Advice::kSequential);
  Advise(address_ + 3, nbytes_ - 5, Advice::kWillNeed);
  Advise(address_ + 3, 1, Advice::kHugePages);  // no whole page inside
  Advise(address_, nbytes_, Advice::kNormal);
  EXPECT_EQ(Present(), 4);
  EXPECT_EQ(address_[nbytes_ - 1], std::byte{'x'});
}

TEST_F(Pages, SyncTakesAnyRangeAndReportsUnmappedMemory) {
  Map(4);
  address_[PageSize() + 1] = std::byte{'y'};
  EXPECT_TRUE(SyncPages(address_ + PageSize() + 1, 10).ok());
  std::byte read;
  ASSERT_EQ(*file_.ReadAt(PageSize() + 1, &read, 1), 1);
  EXPECT_EQ(read, std::byte{'y'});
  EXPECT_EQ(SyncPages(reinterpret_cast<std::byte*>(PageSize()), 10).os_error(), ENOMEM);
}

}  // namespace
}  // namespace spanflow::platform
