/** A moment as people write it on the command line. */

const isoDate =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}:\d{2})?)?$/i;

/** A day alone means its first moment; a time without a zone is UTC. Null for what is no date. */
export function readMoment(text: string): Date | null {
  const [, day = '', time = '00:00', zone = 'Z'] = isoDate.exec(text.trim()) ?? [];
  const date = new Date(`${day}T${time}${zone.toUpperCase()}`);
  // Date.parse accepts the 31st of February and means the 3rd of March.
  const calendar = new Date(`${day}T00:00Z`);
  const exists = !Number.isNaN(date.getTime()) && calendar.toISOString().startsWith(day);
  return exists ? date : null;
}
