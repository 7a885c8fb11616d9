#include "platform/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "temp_folder.h"

namespace {

// Stands for a file system that starts over at every signal, under a timer that leaves it time for
// so many bytes.
int64_t longest_undisturbed = INT64_MAX;
int interruptions = 0;

}  // namespace

extern "C" int posix_fallocate(int descriptor, off_t offset, off_t nbytes) {
  if (nbytes > longest_undisturbed) return ++interruptions > 1000 ? EDEADLK : EINTR;
  return fallocate(descriptor, 0, offset, nbytes) == 0 ? 0 : errno;
}

namespace spanflow::platform {
namespace {

using testing::TempFolder;

const std::byte* Bytes(const char* text) { return reinterpret_cast<const std::byte*>(text); }

TEST(File, ReadsWhatIsThereAndKnowsItsSize) {
  const TempFolder folder;
  const std::string path = folder.Write("data", "0123456789");
  const auto file = File::Open(path, OpenMode::kRead);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(*file->Size(), 10);
  std::byte buffer[8];
  EXPECT_EQ(*file->ReadAt(7, buffer, 8), 3);  // only the end is short
  EXPECT_EQ(std::memcmp(buffer, "789", 3), 0);
  EXPECT_EQ(*file->ReadAt(10, buffer, 8), 0);
}

TEST(File, IsFoundUnderItsNewNameAndNotWhereAnotherOneLies) {
  const TempFolder folder;
  const std::string path = folder.Write("data", "0123456789");
  const auto file = File::Open(path, OpenMode::kRead);
  ASSERT_TRUE(file.ok());
  char* const real = realpath(path.c_str(), nullptr);
  ASSERT_NE(real, nullptr);
  const std::string before = real;
  std::free(real);
  EXPECT_EQ(file->CurrentPath(), before);
  ASSERT_EQ(rename(path.c_str(), (path + ".new").c_str()), 0);
  EXPECT_EQ(file->CurrentPath(), before + ".new");
  folder.Write("data", "another");
  EXPECT_EQ(file->CurrentPath(), before + ".new");
  ASSERT_EQ(unlink((path + ".new").c_str()), 0);
  EXPECT_EQ(file->CurrentPath(), "");
}

TEST(File, MissingFileIsAnOsErrorWithItsPath) {
  const TempFolder folder;
  const auto file = File::Open(folder.Path("none"), OpenMode::kRead);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), base::Code::kOs);
  EXPECT_EQ(file.status().os_error(), ENOENT);
  EXPECT_EQ(file.status().path(), folder.Path("none"));
  EXPECT_EQ(file.status().message(), "No such file or directory");
}

TEST(File, DirectoryIsRefusedInBothModes) {
  const TempFolder folder;
  EXPECT_EQ(File::Open(folder.path(), OpenMode::kRead).status().os_error(), EISDIR);
  EXPECT_EQ(File::Open(folder.path(), OpenMode::kReadWrite).status().os_error(), EISDIR);
}

TEST(File, FifoWithoutAWriterIsRefusedAtOnce) {
  const TempFolder folder;
  ASSERT_EQ(mkfifo(folder.Path("fifo").c_str(), 0600), 0);
  alarm(20);  // a blocking open would wait for ever
  const auto file = File::Open(folder.Path("fifo"), OpenMode::kRead);
  alarm(0);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().os_error(), EINVAL);
  EXPECT_NE(file.status().message().find("FIFO"), std::string::npos);
}

TEST(File, TheWriterOfAFifoIsNotDisturbed) {
  const TempFolder folder;
  const std::string path = folder.Path("fifo");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const pid_t writer = fork();
  if (writer == 0) {
    signal(SIGPIPE, SIG_DFL);
    const int end = open(path.c_str(), O_WRONLY);  // waits for a reader
    usleep(200000);
    _exit(write(end, "data", 4) == 4 ? 0 : 1);
  }
  usleep(200000);
  EXPECT_EQ(File::Open(path, OpenMode::kRead).status().os_error(), EINVAL);
  usleep(500000);
  int status = -1;
  ASSERT_EQ(waitpid(writer, &status, WNOHANG), 0) << "it wrote to us, and died of it";
  const int reader = open(path.c_str(), O_RDONLY);  // the one that it waited for
  char text[4] = {};
  EXPECT_EQ(read(reader, text, 4), 4);
  close(reader);
  ASSERT_EQ(waitpid(writer, &status, 0), writer);
  EXPECT_EQ(status, 0);
}

TEST(File, TooManyOpenFilesSaysWhatToDo) {
  const TempFolder folder;
  const std::string path = folder.Write("data", "x");
  rlimit old_limit;
  getrlimit(RLIMIT_NOFILE, &old_limit);
  const rlimit limit{3, old_limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &limit);
  const base::Status status = File::Open(path, OpenMode::kRead).TakeStatus();
  setrlimit(RLIMIT_NOFILE, &old_limit);
  EXPECT_EQ(status.os_error(), EMFILE);
  EXPECT_NE(status.message().find("close()"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("ulimit -n"), std::string::npos);
}

TEST(File, DeviceIsRefused) {
  EXPECT_EQ(File::Open("/dev/zero", OpenMode::kRead).status().os_error(), EINVAL);
}

TEST(File, IsNotInheritedByStartedPrograms) {
  const TempFolder folder;
  const auto file = File::Open(folder.Write("data", "x"), OpenMode::kRead);
  ASSERT_TRUE(file.ok());
  EXPECT_NE(fcntl(file->descriptor(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(File, ClosesItsDescriptorOnceAndMovesIt) {
  const TempFolder folder;
  int descriptor;
  {
    auto opened = File::Open(folder.Write("data", "x"), OpenMode::kRead);
    ASSERT_TRUE(opened.ok());
    File first = *std::move(opened);
    descriptor = first.descriptor();
    const File second = std::move(first);
    EXPECT_FALSE(first.is_open());  // NOLINT: what is left behind is the point
    EXPECT_EQ(second.descriptor(), descriptor);
    EXPECT_GE(fcntl(descriptor, F_GETFD), 0);
  }
  EXPECT_EQ(fcntl(descriptor, F_GETFD), -1);
}

TEST(File, ReserveMakesBlocksNotHoles) {
  const TempFolder folder;
  auto file = File::Open(folder.Write("data", ""), OpenMode::kReadWrite);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->Reserve(1 << 20).ok());
  struct stat info;
  ASSERT_EQ(fstat(file->descriptor(), &info), 0);
  EXPECT_EQ(info.st_size, 1 << 20);
  EXPECT_GE(info.st_blocks * 512, 1 << 20);
}

TEST(File, ReserveEndsAlthoughSignalsComeAllTheTime) {
  const TempFolder folder;
  auto file = File::Open(folder.Write("data", ""), OpenMode::kReadWrite);
  ASSERT_TRUE(file.ok());
  longest_undisturbed = 2 << 20;
  const base::Status status = file->Reserve(int64_t{100} << 20);
  longest_undisturbed = INT64_MAX;
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(*file->Size(), int64_t{100} << 20);
  EXPECT_LT(interruptions, 100);
}

TEST(File, ReserveStopsWhenTold) {
  const TempFolder folder;
  auto file = File::Open(folder.Write("data", ""), OpenMode::kReadWrite);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->Reserve(1 << 20, [] { return true; }).code(), base::Code::kCancelled);
  EXPECT_TRUE(file->Reserve(1 << 20, [] { return false; }).ok());
}

TEST(File, WritingToAReadOnlyDescriptorIsAnOsError) {
  const TempFolder folder;
  auto file = File::Open(folder.Write("data", "abc"), OpenMode::kRead);
  ASSERT_TRUE(file.ok());
  const base::Status status = file->Write(Bytes("x"), 1);
  EXPECT_EQ(status.os_error(), EBADF);
  EXPECT_EQ(TempFolder::Read(folder.Path("data")), "abc");
}

TEST(File, FileSizeLimitIsAnErrorAndNotASignal) {
  const TempFolder folder;
  auto file = File::Open(folder.Write("data", ""), OpenMode::kReadWrite);
  ASSERT_TRUE(file.ok());
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);  // as Python does
  rlimit old_limit;
  getrlimit(RLIMIT_FSIZE, &old_limit);
  const rlimit limit{8192, old_limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  const std::string much(20000, 'x');
  const base::Status written = file->Write(Bytes(much.data()), 20000);
  const base::Status reserved = file->Reserve(20000);
  setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(written.os_error(), EFBIG);
  EXPECT_EQ(reserved.os_error(), EFBIG);
  EXPECT_NE(reserved.message().find("20000"), std::string::npos);
}

}  // namespace
}  // namespace spanflow::platform
