// The pace: how large the picture may be for the frame rate to hold.

export const SIZES = [160, 192, 224, 256, 320, 384, 448, 512, 640]; // long edge, px
const WINDOW = 8; // frames that a decision rests on

export class Pace {
  /** `rate`: frames a second to hold; `size`: the long edge to begin with, px. */
  constructor(rate = 24, size = 256) {
    this.most = 1000 / rate;
    this.size = size;
    this.times = [];
  }

  /** Tell how long a frame took, ms. Too slow: one size smaller; one size larger where that would still be quick enough. */
  took(ms) {
    this.times.push(ms);
    if (this.times.length < WINDOW) return;
    const median = this.times.sort((a, b) => a - b)[WINDOW / 2];
    const at = SIZES.indexOf(this.size);
    const larger = SIZES[at + 1] ?? Infinity;
    if (median > 1.15 * this.most && at > 0) this.size = SIZES[at - 1];
    else if (median * (larger / this.size) ** 2 < 0.85 * this.most) this.size = larger;
    this.times = [];
  }
}
