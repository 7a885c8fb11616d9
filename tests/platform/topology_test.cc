#include "platform/topology.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

namespace spanflow::platform {
namespace {

// The figure is measured once, so the affinity has to be narrow before the first question.
TEST(TopologyDeathTest, AffinityLimitsTheCores) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(sched_getcpu(), &one);
        sched_setaffinity(0, sizeof(one), &one);
        _exit(UsableCores());
      },
      ::testing::ExitedWithCode(1), "");
}

TEST(Topology, CoresAreWithinTheMachine) {
  EXPECT_GE(UsableCores(), 1);
  EXPECT_LE(UsableCores(), sysconf(_SC_NPROCESSORS_CONF));
}

TEST(Topology, CachesGrowOutwards) {
  const CacheSizes& caches = Caches();
  EXPECT_GE(caches.l1_data, 8 << 10);
  EXPECT_GE(caches.l2, caches.l1_data);
  EXPECT_GE(caches.last_level, caches.l2);
  EXPECT_LT(caches.last_level, int64_t{16} << 30);
}

TEST(Topology, MemoryIsAtMostTheMachines) {
  EXPECT_GE(UsableMemory(), 16 << 20);
  EXPECT_LE(UsableMemory(), int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE));
  EXPECT_GT(AvailableMemory(), 0);
  EXPECT_LE(AvailableMemory(), UsableMemory());
}

}  // namespace
}  // namespace spanflow::platform
