// Waiting until a count is reached, for nodes that learn of arrivals one by one or in groups.

/** Lets many wait for a growing count. */
export class CountWatch {
  #waiting = [];
  #count = 0;

  /** @param {number} count how many there are now */
  reached(count) {
    this.#count = count;
    this.#waiting = this.#waiting.filter(({ wanted, resolve }) => {
      if (wanted > count) return true;
      resolve();
      return false;
    });
  }

  /**
   * @param {number} wanted
   * @returns {Promise<void>} resolves as soon as that many were reached
   */
  holds(wanted) {
    return new Promise((resolve) => {
      if (this.#count >= wanted) resolve();
      else this.#waiting.push({ wanted, resolve });
    });
  }
}
