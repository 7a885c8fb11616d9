#include "platform/wake.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>

namespace spanflow::platform {
namespace {

bool Readable(int descriptor, int milliseconds) {
  pollfd asked{descriptor, POLLIN, 0};
  return poll(&asked, 1, milliseconds) == 1;
}

TEST(Wake, ReadableFromNotifyUntilItIsRead) {
  auto made = Wake::Make();
  ASSERT_TRUE(made.ok());
  const Wake wake = *std::move(made);
  EXPECT_FALSE(Readable(wake.descriptor(), 0));
  wake.Notify();
  wake.Notify();
  EXPECT_TRUE(Readable(wake.descriptor(), 0));
  uint64_t count = 0;
  EXPECT_EQ(read(wake.descriptor(), &count, sizeof count), 8);
  EXPECT_EQ(count, 2u);
  EXPECT_FALSE(Readable(wake.descriptor(), 0));
  EXPECT_EQ(read(wake.descriptor(), &count, sizeof count), -1);  // and does not wait
}

TEST(Wake, EndsAnotherThreadsPoll) {
  auto made = Wake::Make();
  ASSERT_TRUE(made.ok());
  const Wake wake = *std::move(made);
  std::thread other([&wake] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    wake.Notify();
  });
  EXPECT_TRUE(Readable(wake.descriptor(), 10'000));
  other.join();
}

TEST(Wake, MovingLeavesOneDescriptor) {
  auto made = Wake::Make();
  ASSERT_TRUE(made.ok());
  Wake first = *std::move(made);
  const int descriptor = first.descriptor();
  {
    const Wake second(std::move(first));
    EXPECT_EQ(second.descriptor(), descriptor);
    EXPECT_EQ(first.descriptor(), -1);  // NOLINT: what a move leaves is the point
  }
  EXPECT_EQ(fcntl(descriptor, F_GETFD), -1);  // closed
}

}  // namespace
}  // namespace spanflow::platform
