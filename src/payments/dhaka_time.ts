/** Bangladesh's time, UTC+6 all the year, whatever zone this machine is in. */

const offsetMs = 6 * 3_600_000;

/** `YYYYMMDDHHmmss`, as Nagad wants it. */
export function dhakaStamp(moment: Date): string {
  return new Date(moment.getTime() + offsetMs).toISOString().replace(/\D/g, '').slice(0, 14);
}

/** `2026-02-14 12:31:04.0` and `20260214123104` → the moment; null for what is no time. */
export function dhakaMoment(text: string): Date | null {
  const match = /^(\d{4})-?(\d\d)-?(\d\d)[ T]?(\d\d):?(\d\d):?(\d\d)(?:\.\d+)?$/.exec(text.trim());
  if (!match) return null;
  const [, year, month, day, hour, minute, second] = match;
  const moment = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}+06:00`);
  return Number.isNaN(moment.getTime()) ? null : moment;
}

/** When the day of a moment began in Dhaka. */
export function dhakaMidnight(moment: Date): Date {
  const day = 86_400_000;
  return new Date(Math.floor((moment.getTime() + offsetMs) / day) * day - offsetMs);
}
