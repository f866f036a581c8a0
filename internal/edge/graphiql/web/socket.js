const unopened = 'The WebSocket could not be opened. A proxy in front has to let WebSockets through (Upgrade) and to pass on the Host as the browser sent it; the developer tools may say more.';

// The results of a subscription, which can be ended while they are waited for. If a WebSocket does not open, the
// event of the browser has no text. GraphiQL would show {"isTrusted": true}.
export function wordedResults(results) {
  const iterator = results[Symbol.asyncIterator]();
  return {
    next: () =>
      iterator.next().catch(reason => {
        throw reason instanceof Event ? new Error(unopened) : reason;
      }),
    return: () => iterator.return(),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
