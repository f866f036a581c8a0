/** How long ago a moment was, in the largest whole unit. */
export function ago(moment: string | null | undefined, now = Date.now()): string {
  if (!moment) {
    return 'never';
  }
  const seconds = Math.max(0, Math.round((now - Date.parse(moment)) / 1000));
  for (const [unit, size] of [['y', 31_536_000], ['d', 86_400], ['h', 3_600], ['min', 60]] as const) {
    if (seconds >= size) {
      return `${Math.floor(seconds / size)} ${unit} ago`;
    }
  }
  return 'just now';
}

export const count = (n: number) => n.toLocaleString('en');

export const percent = (part: number, whole: number) => (whole > 0 ? Math.round((100 * part) / whole) : 0);

export const clock = (moment: number) => new Date(moment).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
