// The camera: front or back, one frame after the other.

/** Why there is no camera, for people. */
function reason(error) {
  if (error.name === "NotAllowedError") return "The camera is not allowed here: allow it in the browser's settings, or choose a picture.";
  if (error.name === "NotFoundError") return "There is no camera here: choose a picture.";
  if (error.name === "NotReadableError") return "Another app is using the camera: close it and try again.";
  return `The camera could not be opened (${error.message}): choose a picture.`;
}

function release(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

export class Camera {
  #video;
  #lost;
  #stream = null;
  #facing = "environment";
  #asked = 0; // grows with every start and stop: a camera that opens after another one was asked for is let go

  /** `lost` is called when the camera goes away by itself: unplugged, or taken by the system. */
  constructor(video, lost) {
    this.#video = video;
    this.#lost = lost;
  }

  /** The picture is a mirror when the camera looks at the one who holds it. */
  get mirrored() {
    return (this.#stream?.getVideoTracks()[0].getSettings().facingMode ?? this.#facing) === "user";
  }

  get size() {
    return [this.#video.videoWidth, this.#video.videoHeight];
  }

  get facing() {
    return this.#facing;
  }

  /** Whether it is on: not where it was stopped or started anew while it was opened. */
  async start(facing = this.#facing) {
    this.stop();
    const mine = this.#asked;
    if (!navigator.mediaDevices) throw new Error("The camera works on https:// pages and on this computer only: choose a picture.");
    const video = { facingMode: { ideal: facing }, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 60 } };
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
      if (mine !== this.#asked) {
        release(stream);
        return false;
      }
      stream.getVideoTracks()[0].onended = () => this.#lost(new Error("The camera has gone: another app may have it, or it was unplugged."));
      this.#stream = this.#video.srcObject = stream;
      this.#facing = facing;
      await this.#video.play();
      return mine === this.#asked;
    } catch (error) {
      if (mine !== this.#asked) return false;
      this.stop();
      throw new Error(reason(error));
    }
  }

  /** The other camera; the one before where the other cannot be opened. Whether it is on. */
  async turn() {
    const before = this.#facing;
    try {
      return await this.start(before === "user" ? "environment" : "user");
    } catch (error) {
      await this.start(before);
      throw error;
    }
  }

  stop() {
    this.#asked++;
    release(this.#stream);
    this.#stream = this.#video.srcObject = null;
  }

  /** Resolves at the next frame. */
  frame() {
    return new Promise((done) => {
      if (this.#video.requestVideoFrameCallback) this.#video.requestVideoFrameCallback(done);
      else requestAnimationFrame(done);
    });
  }

  /** Draw the present frame. */
  draw(context, width, height) {
    context.setTransform(this.mirrored ? -1 : 1, 0, 0, 1, this.mirrored ? width : 0, 0);
    context.drawImage(this.#video, 0, 0, width, height);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }
}
