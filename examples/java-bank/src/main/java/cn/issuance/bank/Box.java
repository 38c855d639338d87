package cn.issuance.bank;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** What is brought by hand, for trying: slips of JSON in a folder (docs/conformance.md). No part of the contract. */
final class Box {
    private final Path folder;

    Box(Path folder) {
        this.folder = folder;
    }

    List<Path> slips() throws IOException {
        if (folder == null || !Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.getFileName().toString().matches("[^.].*\\.json")).sorted().toList();
        }
    }

    static JsonNode read(Path slip) throws IOException {
        return new ObjectMapper().readTree(Files.readString(slip));
    }
}
