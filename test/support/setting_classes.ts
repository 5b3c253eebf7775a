/** The settings that a session can have, by their class. */
import { readFile } from 'node:fs/promises';

type SettingClass = 'pinned' | 'decisive' | 'answering' | 'revealing' | 'harmless';

const lines: Record<SettingClass, string[]> = JSON.parse(
  await readFile('sql/doctor/setting_classes.json', 'utf8'),
);

/** The names of the settings of a class. */
export function settingsOf(name: SettingClass): string[] {
  return lines[name].flatMap((line) => line.split(' '));
}

export function allSettings(): string[] {
  return Object.values(lines).flatMap((names) => names.flatMap((line) => line.split(' ')));
}
