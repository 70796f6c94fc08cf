//! The menus of macOS' menu bar: every command has its place.

/// A menu and the titles of its commands, in [`super::command::COMMANDS`]; an empty title is a line between them.
pub(super) struct Menu {
    pub(super) title: &'static str,
    pub(super) commands: &'static [&'static str],
}

/// The application's own menu on macOS, which has more than these commands.
pub(super) const APPLICATION: &str = "CSM Studio";

/// In the order of the menu bar; *Edit* follows *File*, and *Window* comes before *Help*.
pub(super) static MENUS: &[Menu] = &[
    Menu { title: APPLICATION, commands: &["Settings…"] },
    Menu {
        title: "File",
        commands: &[
            "Open files…",
            "",
            "Choose a voice prompt…",
            "Import a voice…",
            "Record a voice prompt, or stop recording",
            "",
            "Models…",
            "Open a checkpoint folder…",
            "Choose an adapter folder…",
            "Use the demo voice",
            "",
            "Export WAV…",
            "Export page with sound (HTML)…",
            "Export the conversation as WAV…",
            "Export the pinned takes as a page (HTML)…",
        ],
    },
    Menu {
        title: "Speech",
        commands: &[
            "Speak",
            "Speak as a reply to the turns before",
            "Speak with three seeds",
            "Speak all turns",
            "",
            "Add a turn",
            "",
            "Regenerate from the selected frame with a new seed",
            "Regenerate from the selected frame with the current settings",
            "Say the selected word again",
            "Take the selected words from the first other pinned take",
            "Check the words",
        ],
    },
    Menu {
        title: "Playback",
        commands: &[
            "Play or pause",
            "Play the conversation",
            "Loop the selection",
            "Play all codebooks",
            "Switch to the current clip",
            "",
            "To the start",
            "Select the token to the left",
            "Select the token to the right",
            "Select the codebook above",
            "Select the codebook below",
            "One frame back",
            "One frame forward",
            "",
            "Louder",
            "Quieter",
        ],
    },
    Menu {
        title: "Takes",
        commands: &[
            "Next take",
            "Previous take",
            "Search takes",
            "",
            "Rename the take",
            "Delete the selected takes",
            "Undo delete",
            "Write the unwritten takes again",
            "Write the unwritten takes elsewhere…",
            "",
            "Regenerate the take in all modes",
            "Regenerate the take with three new seeds",
            "Use the settings of the take",
            "Save the take as a voice",
            "Copy the seed of the take",
            "Copy a command that makes the take again",
            "Show the folder of the take",
            "",
            "Pin or unpin the current clip",
            "Unpin all takes",
            "Make an ABX test of the two pinned takes…",
            "Make a preference test of the pinned takes…",
            "Make a rating test of the pinned takes…",
        ],
    },
    Menu {
        title: "View",
        commands: &[
            "Show the draw",
            "Show statistics",
            "Show problems",
            "Show acoustic measures",
            "Show what if",
            "Show the comparison",
            "",
            "Next problem",
            "Previous problem",
            "Follow the newest frame",
            "Show the whole clip",
            "Waveforms or mel spectrograms",
            "Pitch and level",
            "",
            "Light theme",
            "Dark theme",
            "System theme",
            "Larger text",
            "Smaller text",
        ],
    },
    Menu {
        title: "Help",
        commands: &[
            "Keys",
            "Commands",
            "",
            "Previous panel",
            "Next panel",
            "",
            "Show the folder of the log file",
            "Licences",
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::studio::command::COMMANDS;

    #[test]
    fn every_command_is_in_one_menu() {
        let listed: Vec<&str> =
            MENUS.iter().flat_map(|menu| menu.commands).copied().filter(|title| !title.is_empty()).collect();
        for command in COMMANDS {
            let places = listed.iter().filter(|title| **title == command.title).count();
            assert_eq!(places, 1, "{}", command.title);
        }
        assert_eq!(listed.len(), COMMANDS.len());
        assert!(MENUS.iter().all(|menu| !menu.title.is_empty() && menu.title != "Edit" && menu.title != "Window"));
    }
}
