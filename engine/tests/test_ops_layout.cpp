// SPDX-License-Identifier: Apache-2.0
// Copies between layouts and gathers against loops over elements.
#include <boost/test/unit_test.hpp>
#include <numeric>
#include <vector>

#include "base/thread_pool.h"
#include "kernel_fixtures.h"
#include "op_fixture.h"
#include "ops/gather.h"
#include "ops/layout.h"

using namespace fewbins;

namespace {

// Calls visit(index) for every index vector below dims.
template <class Visit>
void for_each_index(const Dims& dims, const Visit& visit) {
  std::array<int64_t, kMaxRank> index{};
  for (int64_t n = 0; n < dims.count(); ++n) {
    int64_t left = n;
    for (int axis = dims.rank - 1; axis >= 0; --axis) {
      index[static_cast<size_t>(axis)] = left % dims[axis];
      left /= dims[axis];
    }
    visit(index);
  }
}

size_t offset_of(const std::array<int64_t, kMaxRank>& index, const Strides& strides, int rank) {
  Size offset = 0;
  for (int axis = 0; axis < rank; ++axis)
    offset += index[static_cast<size_t>(axis)] * strides[static_cast<size_t>(axis)];
  return static_cast<size_t>(offset);
}

template <class T>
void check_copy(const CopyBox& box, size_t source_start, size_t size, ThreadPool& pool) {
  std::vector<T> source(size);
  std::iota(source.begin(), source.end(), T{1});
  std::vector<T> got(size, T{0});
  std::vector<T> want(size, T{0});
  for_each_index(box.dims, [&](const auto& index) {
    want[offset_of(index, box.dst_strides, box.dims.rank)] =
        source[source_start + offset_of(index, box.src_strides, box.dims.rank)];
  });
  copy_box(box, got.data(), source.data() + source_start, sizeof(T), pool);
  BOOST_TEST(got == want);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ops_layout)

BOOST_AUTO_TEST_CASE(rank_four_lies_as_nhwc_and_others_row_major) {
  BOOST_TEST((memory_strides({2, 3, 4, 5}) == Strides{60, 1, 15, 3}));
  BOOST_TEST((memory_strides({2, 3, 4}) == Strides{12, 4, 1}));
  BOOST_TEST(same_order({2, 3, 1, 1}));
  BOOST_TEST(same_order({2, 1, 4, 5}));
  BOOST_TEST(!same_order({1, 3, 4, 1}));
}

BOOST_AUTO_TEST_CASE(a_copied_box_equals_a_loop_over_its_elements) {
  testing::Random random;
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    for (int trial = 0; trial < 200; ++trial) {
      Dims dims;
      dims.rank = random.integer(0, 6);
      for (int axis = 0; axis < dims.rank; ++axis) dims[axis] = random.integer(1, 5);
      // The destination is dense in one order of axes, the source in another, some of its axes reversed or repeated.
      CopyBox box{dims, {}, {}};
      std::vector<size_t> order(static_cast<size_t>(dims.rank));
      std::iota(order.begin(), order.end(), size_t{0});
      size_t start = 0;
      for (Strides* strides : {&box.dst_strides, &box.src_strides}) {
        for (size_t i = order.size(); i > 1; --i)
          std::swap(order[i - 1], order[static_cast<size_t>(random.integer(0, static_cast<int>(i) - 1))]);
        Size step = 1;
        for (const size_t axis : order) {
          (*strides)[axis] = step;
          step *= dims.d[axis];
        }
      }
      for (size_t axis = 0; axis < order.size(); ++axis) {
        const int kind = random.integer(0, 5);
        if (kind == 0) box.src_strides[axis] = 0;
        if (kind == 1) {
          start += static_cast<size_t>((dims.d[axis] - 1) * box.src_strides[axis]);
          box.src_strides[axis] = -box.src_strides[axis];
        }
      }
      const auto size = static_cast<size_t>(dims.count());
      check_copy<uint8_t>(box, start, size, pool);
      check_copy<float>(box, start, size, pool);
    }
    check_copy<float>({{2, 60, 70, 33}, memory_strides({2, 60, 70, 33}), logical_strides({2, 60, 70, 33})}, 0,
                      size_t{2} * 60 * 70 * 33, pool);
  }
}

BOOST_AUTO_TEST_CASE(a_gather_equals_a_loop_over_its_elements) {
  testing::Random random;
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    for (int trial = 0; trial < 200; ++trial) {
      Dims in;
      Dims out;
      in.rank = out.rank = random.integer(1, 5);
      std::vector<std::vector<int64_t>> tables(static_cast<size_t>(in.rank));
      for (int axis = 0; axis < in.rank; ++axis) {
        in[axis] = random.integer(1, 5);
        auto& table = tables[static_cast<size_t>(axis)];
        if (random.integer(0, 2) == 0) {
          for (int64_t i = 0; i < in[axis]; ++i) table.push_back(i);
        } else {
          for (int i = random.integer(1, 6); i > 0; --i)
            table.push_back(random.integer(-1, static_cast<int>(in[axis]) - 1));
        }
        out[axis] = static_cast<int64_t>(table.size());
      }
      std::vector<uint8_t> source(static_cast<size_t>(in.count()));
      std::iota(source.begin(), source.end(), uint8_t{1});
      std::vector<uint8_t> got(static_cast<size_t>(out.count()));
      std::vector<uint8_t> want(got.size());
      for_each_index(out, [&](const auto& index) {
        auto from = index;
        bool inside = true;
        for (size_t axis = 0; axis < tables.size(); ++axis) {
          from[axis] = tables[axis][static_cast<size_t>(index[axis])];
          inside = inside && from[axis] >= 0;
        }
        want[offset_of(index, memory_strides(out), out.rank)] =
            inside ? source[offset_of(from, memory_strides(in), in.rank)] : uint8_t{200};
      });
      const uint8_t fill = 200;
      AxisGather(in, out, tables).run(source.data(), got.data(), 1, &fill, pool);
      BOOST_TEST(got == want);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
