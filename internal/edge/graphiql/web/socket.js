const unopened = 'The WebSocket could not be opened. A proxy in front has to let WebSockets through (Upgrade) and to pass on the Host as the browser sent it; the developer tools may say more.';

// The results of a subscription, which can be ended while they are waited for. Of a WebSocket that does not open, the
// browser tells by an event without words, of which GraphiQL would show as much as it holds: {"isTrusted": true}.
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
