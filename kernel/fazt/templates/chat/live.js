// How new messages get here: by asking. The only file to change for a connection that pushes.

const SOON_MS = 1_000;
const LATER_MS = 10_000;

/**
 * Calls `arrived(messages, whole)` with what is new in a room, oldest first; `whole` says that they take the
 * place of what was known. `state(problem)` says what keeps them away, or null. Returns what asks at once, and
 * what ends it.
 */
export function listen(room, arrived, state) {
  const path = `/api/rooms/${encodeURIComponent(room)}/messages`;
  let last = null;
  let wait = SOON_MS;
  let timer;
  let asking = false;
  let again = false;
  let ended = false;

  async function ask() {
    clearTimeout(timer);
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      const response = await fetch(last === null ? path : `${path}?after=${last}`);
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.error?.message ?? response.statusText);
      if (ended) return;
      const { messages, whole } = answer;
      if (messages.length > 0 || last === null) arrived(messages, whole);
      last = messages.at(-1)?.id ?? last ?? "none";
      // Who talks is answered soon; a quiet room is asked less and less often.
      wait = messages.length > 0 ? SOON_MS : Math.min(wait * 1.25, LATER_MS);
      state(null);
    } catch (error) {
      wait = Math.min(wait * 2, LATER_MS);
      if (!ended) state(error.message);
    } finally {
      asking = false;
      if (again) soon();
      else if (!ended && !document.hidden) timer = setTimeout(ask, wait);
    }
  }

  function soon() {
    again = false;
    wait = SOON_MS;
    return ask();
  }

  const seen = () => (document.hidden ? clearTimeout(timer) : soon());
  document.addEventListener("visibilitychange", seen);
  ask();
  return {
    soon,
    end() {
      ended = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    },
  };
}
